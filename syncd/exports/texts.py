"""Items that are texts: the text people saw, what they marked in it, and what they chose for it.

Used by the formats for texts. Offsets are characters (Unicode code points), end excluded.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from syncd.domain.labels.configs import Control, LabelConfig
from syncd.domain.regions import Choice, Region, Span
from syncd.domain.regions.offsets import code_points
from syncd.exports.base import Item, Source

UNSPLIT = "train"
"""Where rows without a split go: all data are to train on."""

_STEP = re.compile(r"[^.\[\]]+")


@dataclass(frozen=True, slots=True)
class Entity:
    """A marked stretch of a text with its first label; `region` has the others."""

    start: int
    end: int
    label: str
    region: Span


@dataclass(frozen=True, slots=True)
class TextItem:
    """One answer about one text."""

    item: Item
    text: str
    entities: tuple[Entity, ...]

    @property
    def split(self) -> str:
        """The split's name."""
        return self.item.row.get("split") or UNSPLIT


def text_items(source: Source) -> Iterator[TextItem]:
    """The items whose task holds a text. Those that hold none are told as lost."""
    return filter(None, (text_item(source, item) for item in source.items()))


def text_item(source: Source, item: Item) -> TextItem | None:
    """The item's text with what is marked in it, in order of place; None where the task holds no text."""
    text = value_at(item.row["data"] or {}, text_variable(source.config))
    if isinstance(text, str):
        return TextItem(item, text, tuple(_entities(source, text, item.regions)))
    source.lose("an answer whose task holds no text")
    return None


def _entities(source: Source, text: str, regions: Iterable[Region]) -> Iterable[Entity]:
    found = []
    for region in regions:
        if not isinstance(region, Span) or not _on_text(source.config, region):
            continue
        start, end = code_points(text, region)
        if region.label is None or start >= end:
            source.lose("a mark without a label, or of white space alone")
        else:
            found.append(Entity(start, end, region.label, region))
    return sorted(found, key=lambda entity: (entity.start, -entity.end, entity.label))


def _on_text(config: LabelConfig | None, region: Region) -> bool:
    """Whether it marks the text that is exported, where a task shows several."""
    return _variable_under(config, region) in {None, text_variable(config)}


def text_under(config: LabelConfig | None, data: Mapping[str, Any] | None, region: Region) -> str | None:
    """The text that the region's offsets are in; None where it is not in the task."""
    text = value_at(data or {}, _variable_under(config, region) or text_variable(config))
    return text if isinstance(text, str) else None


def _variable_under(config: LabelConfig | None, region: Region) -> str | None:
    control = config.controls.get(region.control) if config else None
    shown = config.objects.get(control.to_name[0]) if config and control else None
    return shown.variable if shown else None


# ---------------------------------------------------------------- what a label config asks


def _text_objects(config: LabelConfig | None) -> list[str]:
    objects = config.objects.values() if config else ()
    return [tag.name for tag in objects if tag.kind == "text" and tag.inline and tag.variable]


def text_variable(config: LabelConfig | None) -> str:
    """The variable of task data that holds the text: the first that a Text object shows; else `text`."""
    shown = _text_objects(config)
    return (config.objects[shown[0]].variable if config and shown else None) or "text"


def marks_text(config: LabelConfig | None) -> bool:
    """Whether people mark stretches of a text that stands in the task."""
    return any(control.kind == "labels" for control in _text_controls(config))


def chooses_for_text(config: LabelConfig | None) -> list[Control]:
    """The controls by which people classify such a text as a whole."""
    return [control for control in _text_controls(config) if control.kind == "choices" and not per_region(control)]


def per_region(control: Control) -> bool:
    """Whether its answers are about a region, not about the whole task."""
    return control.attributes.get("perregion", "").lower() == "true"


def single_choice(control: Control) -> bool:
    """Whether people choose one label: the default of Choices."""
    return control.kind == "choices" and control.attributes.get("choice", "single").startswith("single")


def _text_controls(config: LabelConfig | None) -> list[Control]:
    texts = set(_text_objects(config))
    return [control for control in config.controls.values() if texts & set(control.to_name)] if config else []


def asked(config: LabelConfig | None) -> str:
    """What the label config asks, for a message: `RectangleLabels on Image`."""
    if config is None:
        return "an unknown label config"
    pairs = (
        f"{control.tag} on {config.objects[name].tag}"
        for control in config.controls.values()
        for name in control.to_name
        if name in config.objects
    )
    return ", ".join(dict.fromkeys(pairs)) or "nothing"


# ---------------------------------------------------------------- values


def value_at(data: Mapping[str, Any], variable: str) -> Any:
    """The value of a variable such as `text`, `meta.title` or `pages[0]`; None where there is none."""
    value: Any = data
    for step in _STEP.findall(variable):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def chosen(regions: Iterable[Region], control: str) -> tuple[str, ...]:
    """The labels chosen by a control for the whole task."""
    return tuple(
        label
        for region in regions
        if isinstance(region, Choice) and region.control == control
        for label in region.labels
    )


def link(source: Source, item: Item) -> str | None:
    """Where the object is: a web address that the task shows, else the object's own URI."""
    primary = source.config.primary if source.config else None
    shown = value_at(item.row["data"] or {}, primary.variable or "") if primary else None
    in_web = isinstance(shown, str) and shown.startswith(("http://", "https://"))
    uri: str | None = item.row.get("object_uri")
    return shown if in_web or uri is None else uri
