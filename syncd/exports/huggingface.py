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

Images are named by `uri`, not held: the format `folders` exports them, for `load_dataset("imagefolder", …)`. Told as
lost, of the columns above `regions`: marks that overlap, rotation of boxes, other shapes.
https://huggingface.co/docs/datasets/about_dataset_features
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from syncd.domain.labels.configs import Control
from syncd.domain.model import JsonObject
from syncd.domain.regions import Box, Ellipse, Keypoint, Mask, Number, Polygon, Text
from syncd.exports.base import Format, Item, Source
from syncd.exports.conll import tagged
from syncd.exports.plain import json_text, plain
from syncd.exports.shards import Shards
from syncd.exports.texts import chosen, marks_text, per_region, single_choice, text_item, text_under, value_at
from syncd.training.describe.about import OPTIONS, About
from syncd.training.describe.card import Opening, card

_BATCH = 1_000
_FIXED = ("key", "uri", "annotation_id", "regions")
_TEXT: JsonObject = {"dtype": "string", "_type": "Value"}
_INT: JsonObject = {"dtype": "int32", "_type": "Value"}
_FLOAT: JsonObject = {"dtype": "float64", "_type": "Value"}
_ARROW = {"string": pa.string(), "int32": pa.int32(), "float64": pa.float64()}


@dataclass(frozen=True, slots=True)
class _Part:
    """Some columns that belong together: how `datasets` calls their types, and their values for an answer."""

    features: dict[str, Any]
    cells: Callable[[Item], dict[str, Any]]


def _write(source: Source, out: Path) -> None:
    parts = [_origin(), *_asked(source), _regions(source)]
    features = {name: feature for part in parts for name, feature in part.features.items()}
    noted = json_text({"info": {"features": features}})
    schema = pa.schema([(name, _arrow(feature)) for name, feature in features.items()], {"huggingface": noted})
    shards = Shards(out, schema)
    for items in _batches(source.items()):
        rows = [{name: cell for part in parts for name, cell in part.cells(item).items()} for item in items]
        shards.write(pa.Table.from_pylist(rows, schema), [item.row.get("split") for item in items])
    files = {shard.split: f"data/{shard.split}-*.parquet" for shard in shards.close()}
    opening = Opening('datasets.load_dataset("PATH_OF_THIS_FOLDER")', files)
    text = card(source.snapshot, About.from_options(source.options), opening=opening)
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    while batch := list(islice(items, _BATCH)):
        yield batch


def _arrow(feature: JsonObject) -> Any:
    """The Arrow type in which `datasets` stores a feature."""
    match feature:
        case {"_type": "List"}:
            return pa.list_(_arrow(feature["feature"]))
        case {"_type": "ClassLabel"}:
            return pa.int64()
        case {"_type": "Value"}:
            return _ARROW[feature["dtype"]]
    return pa.struct([(name, _arrow(inner)) for name, inner in feature.items()])


def _classes(names: Iterable[str]) -> JsonObject:
    return {"names": list(names), "_type": "ClassLabel"}


def _list(feature: JsonObject) -> JsonObject:
    return {"feature": feature, "_type": "List"}


# ---------------------------------------------------------------- columns


def _origin() -> _Part:
    names = {"key": "key", "uri": "object_uri", "annotation_id": "annotation_id"}
    return _Part(dict.fromkeys(names, _TEXT), lambda item: {name: item.row[column] for name, column in names.items()})


def _regions(source: Source) -> _Part:
    def cells(item: Item) -> dict[str, Any]:
        found = [plain(region, text_under(source.config, item.row["data"], region)) for region in item.regions]
        return {"regions": json_text(found).decode()}

    return _Part({"regions": _TEXT}, cells)


def _asked(source: Source) -> Iterator[_Part]:
    config = source.config
    if config is None:
        return
    controls = [control for control in config.controls.values() if not per_region(control)]
    choices = [control for control in controls if control.kind == "choices"]
    texts = [tag.variable for tag in config.objects.values() if tag.kind == "text" and tag.inline and tag.variable]
    yield from map(_shown, texts)
    yield from (_choice(source, one, "label" if len(choices) == 1 else _name(one)) for one in choices)
    yield from (_number(one) for one in controls if one.kind in {"rating", "number"})
    yield from (_typed(one) for one in controls if one.kind == "textarea")
    if marks_text(config):
        yield _marks(source)
    if any(control.kind.startswith("rectangle") for control in controls):
        yield _boxes(source)


def _name(control: Control) -> str:
    return f"{control.name}_" if control.name in _FIXED else control.name


def _shown(variable: str) -> _Part:
    return _Part({variable: _TEXT}, lambda item: {variable: value_at(item.row["data"] or {}, variable)})


def _choice(source: Source, control: Control, name: str) -> _Part:
    labels = source.labels if control.dynamic else control.labels
    places = {label: place for place, label in enumerate(labels)}

    def several(item: Item) -> list[int]:
        return [places[label] for label in chosen(item.regions, control.name) if label in places]

    def one(item: Item) -> int | None:
        return next(iter(several(item)), None)

    if single_choice(control):
        return _Part({name: _classes(labels)}, lambda item: {name: one(item)})
    return _Part({name: _list(_classes(labels))}, lambda item: {name: several(item)})


def _number(control: Control) -> _Part:
    def value(item: Item) -> float | None:
        found = (one.value for one in item.regions if isinstance(one, Number) and one.control == control.name)
        return next(found, None)

    return _Part({_name(control): _FLOAT}, lambda item: {_name(control): value(item)})


def _typed(control: Control) -> _Part:
    def lines(item: Item) -> list[str]:
        found = (one.text for one in item.regions if isinstance(one, Text) and one.control == control.name)
        return [line for text in found for line in text]

    return _Part({_name(control): _list(_TEXT)}, lambda item: {_name(control): lines(item)})


def _marks(source: Source) -> _Part:
    labels = source.labels
    tags = ["O", *(f"{at}-{label}" for label in labels for at in "BI")]
    span = {"start": _INT, "end": _INT, "label": _classes(labels)}
    features = {"tokens": _list(_TEXT), "ner_tags": _list(_classes(tags)), "spans": _list(span)}

    def cells(item: Item) -> dict[str, Any]:
        made = text_item(source, item)
        if made is None:
            return {"tokens": [], "ner_tags": [], "spans": []}
        tokens = list(tagged(source, made))
        marked = [(one, label) for one in made.entities for label in one.region.labels]
        return {
            "tokens": [token for token, _ in tokens],
            "ner_tags": [tags.index(tag) for _, tag in tokens],
            "spans": [{"start": one.start, "end": one.end, "label": labels.index(label)} for one, label in marked],
        }

    return _Part(features, cells)


def _boxes(source: Source) -> _Part:
    labels = source.labels
    objects = {"bbox": _list(_list(_FLOAT)), "category": _list(_classes(labels))}

    def cells(item: Item) -> dict[str, Any]:
        boxes = [one for one in item.regions if isinstance(one, Box) and one.label is not None]
        if turned := sum(one.rotation != 0 for one in boxes):
            source.lose("the rotation of a box: in `regions` alone", turned)
        if others := sum(isinstance(one, (Polygon, Ellipse, Keypoint, Mask)) for one in item.regions):
            source.lose("a shape that is no box: in `regions` alone", others)
        size = boxes[0].size if boxes else None
        found = {
            "bbox": [[one.x, one.y, one.width, one.height] for one in boxes],
            "category": [labels.index(one.labels[0]) for one in boxes],
        }
        return {"width": size and size.width, "height": size and size.height, "objects": found}

    return _Part({"width": _INT, "height": _INT, "objects": objects}, cells)


FORMAT = Format(
    "huggingface",
    "A folder for datasets.load_dataset: Parquet with typed features, and the dataset card",
    _write,
    lambda _source: None,
    options=OPTIONS,
)
