"""Hugging Face: a folder that `datasets.load_dataset(folder)` opens, with the features that trainers expect.

Parquet files for each split (`shards`) and the dataset card as `README.md`. Columns, as the label config asks for them:

    key, uri, annotation_id     where the row comes from
    text …                      each text that the task holds, under its variable's name
    label                       Choices about the whole task: a ClassLabel, or a list of them (under the control's name
                                where there are several controls)
    tokens, ner_tags, spans     marks in a text: tokens with IOB2 tags as `conll` has them, and start, end, label
    width, height, objects      boxes in an image: `bbox` as [x, y, width, height] in pixels, `category`
    CONTROL                     a rating or number, or typed texts, under the control's name
    regions                     the whole answer as JSON, as `exports.plain` has it: here nothing is lost

Images are named by `uri`, not held: `image-folder` exports them, for `load_dataset("imagefolder", …)`. Told as lost, of
the columns above `regions`: marks that overlap, rotation of boxes, other shapes.
https://huggingface.co/docs/datasets/about_dataset_features
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from syncd.domain.labels.configs import Control, LabelConfig
from syncd.domain.model import JsonObject
from syncd.domain.regions import Box, Ellipse, Keypoint, Mask, Number, Polygon, Region, Text
from syncd.exports.base import Format, Item, Source
from syncd.exports.conll import tagged
from syncd.exports.plain import json_text, plain
from syncd.exports.shards import write_shards
from syncd.exports.texts import (
    UNSPLIT,
    TextItem,
    chosen,
    entities_of,
    marks_text,
    per_region,
    single_choice,
    text_under,
    text_variable,
    value_at,
)
from syncd.training.describe.about import OPTIONS, About
from syncd.training.describe.card import Opening, card

_BATCH = 1_000
_IMAGE_SHAPES = (Polygon, Ellipse, Keypoint, Mask)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: its Arrow type, how `datasets` calls it, and its value for an answer."""

    name: str
    type: Any
    feature: JsonObject
    value: Callable[[Item], Any]


def _write(source: Source, out: Path) -> None:
    columns = list(_columns(source))
    features = {column.name: column.feature for column in columns}
    noted = json_text({"info": {"features": features}})
    schema = pa.schema([(column.name, column.type) for column in columns], metadata={"huggingface": noted})
    splits: list[str | None] = []
    table = pa.concat_tables(_tables(source, columns, schema, splits))
    shards = write_shards(table, splits, out)
    files = {shard.split: f"data/{shard.split}-*.parquet" for shard in shards}
    opening = Opening('datasets.load_dataset("PATH_OF_THIS_FOLDER")', files)
    text = card(source.snapshot, About.from_options(source.options), opening=opening)
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _tables(source: Source, columns: list[_Column], schema: Any, splits: list[str | None]) -> Iterator[Any]:
    yield schema.empty_table()
    items = source.items()
    while batch := list(islice(items, _BATCH)):
        splits += [item.row.get("split") for item in batch]
        yield pa.table({one.name: [one.value(item) for item in batch] for one in columns}, schema=schema)


# ---------------------------------------------------------------- columns


def _text(name: str, value: Callable[[Item], Any]) -> _Column:
    return _Column(name, pa.string(), {"dtype": "string", "_type": "Value"}, value)


def _classes(names: Iterable[str]) -> JsonObject:
    return {"names": list(names), "_type": "ClassLabel"}


def _list(feature: JsonObject) -> JsonObject:
    return {"feature": feature, "_type": "List"}


def _columns(source: Source) -> Iterator[_Column]:
    config = source.config
    yield _text("key", lambda item: item.row["key"])
    yield _text("uri", lambda item: item.row["object_uri"])
    yield _text("annotation_id", lambda item: item.row["annotation_id"])
    if config:
        made = {column.name: column for column in _asked(source, config)}
        yield from (column for name, column in made.items() if name not in {"key", "uri", "annotation_id", "regions"})
    yield _text("regions", lambda item: json_text([_plain(config, item, region) for region in item.regions]).decode())


def _plain(config: LabelConfig | None, item: Item, region: Region) -> JsonObject:
    return plain(region, text_under(config, item.row["data"], region))


def _asked(source: Source, config: LabelConfig) -> Iterator[_Column]:
    for tag in config.objects.values():
        if tag.kind == "text" and tag.inline and tag.variable:
            yield _shown(tag.variable)
    asked = [control for control in config.controls.values() if not per_region(control)]
    choices = [control for control in asked if control.kind == "choices"]
    for control in choices:
        yield _choice(source, control, "label" if len(choices) == 1 else control.name)
    for control in asked:
        if control.kind in {"rating", "number"}:
            yield _number(control)
        elif control.kind == "textarea":
            yield _typed(control)
    if marks_text(config):
        yield from _marks(source)
    if any(control.kind.startswith("rectangle") for control in asked):
        yield from _boxes(source)


def _shown(variable: str) -> _Column:
    return _text(variable, lambda item: value_at(item.row["data"] or {}, variable))


def _choice(source: Source, control: Control, name: str) -> _Column:
    names = source.labels if control.dynamic else control.labels
    places = {label: place for place, label in enumerate(names)}

    def value(item: Item) -> Any:
        found = [places[label] for label in chosen(item.regions, control.name) if label in places]
        return found if not single_choice(control) else found[0] if found else None

    if single_choice(control):
        return _Column(name, pa.int64(), _classes(names), value)
    return _Column(name, pa.list_(pa.int64()), _list(_classes(names)), value)


def _number(control: Control) -> _Column:
    def value(item: Item) -> float | None:
        found = (one.value for one in item.regions if isinstance(one, Number) and one.control == control.name)
        return next(found, None)

    return _Column(control.name, pa.float64(), {"dtype": "float64", "_type": "Value"}, value)


def _typed(control: Control) -> _Column:
    def value(item: Item) -> list[str]:
        found = (one for one in item.regions if isinstance(one, Text) and one.control == control.name)
        return [line for one in found for line in one.text]

    return _Column(control.name, pa.list_(pa.string()), _list({"dtype": "string", "_type": "Value"}), value)


def _marks(source: Source) -> Iterator[_Column]:
    labels = source.labels
    tags = {tag: place for place, tag in enumerate(("O", *(f"{at}-{label}" for label in labels for at in "BI")))}
    places = {label: place for place, label in enumerate(labels)}
    last: list[tuple[Item, list[tuple[str, str]]]] = []

    def tokens(item: Item) -> list[tuple[str, str]]:
        if not last or last[0][0] is not item:
            text = value_at(item.row["data"] or {}, text_variable(source.config)) or ""
            made = TextItem(item, text, tuple(entities_of(source, text, item.regions)))
            last[:] = [(item, list(tagged(source, made)))]
        return last[0][1]

    def spans(item: Item) -> list[JsonObject]:
        text = value_at(item.row["data"] or {}, text_variable(source.config)) or ""
        found = entities_of(None, text, item.regions, source.config)
        return [
            {"start": one.start, "end": one.end, "label": places[label]} for one in found for label in one.region.labels
        ]
