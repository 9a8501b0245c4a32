"""Tables and lines: CSV, JSONL and Hugging Face datasets, by the names of their columns.

The object is `key` (or image, audio, file_name, path, uri), or the `text` itself (or sentence, content, review);
`id` names a text. The answer is `label` (or labels, class, category; several as a list, or with `|` between them) and
`spans` (a list of `{start, end, label}`, characters).
"""

import codecs
import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Choice, Region, Span
from syncd.imports.base import Item, faulty
from syncd.training.extras import required

_KEYS = ("key", "image", "audio", "file_name", "filename", "path", "uri")
_TEXTS = ("text", "sentence", "content", "review")
_LABELS = ("labels", "label", "class", "category", "choice")
_NAMES = ("id", "name", "index")


def parse_csv(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The rows of a CSV file with a header, separated by what stands there most: comma, semicolon or tab."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=max(",;\t", key=header.count), strict=True)
        try:
            yield from _items(path.name, ((reader.line_num, row) for row in reader), config)
        except csv.Error as error:  # a quote that is never closed: the file may be cut off
            raise Rejected(f"{path.name}:{reader.line_num} is no CSV: {error}") from None


def parse_jsonl(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The lines of a JSONL file, each a JSON object; empty ones are passed over."""
    with path.open("rb") as file:
        yield from _items(path.name, _objects(path.name, file), config)


def _objects(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line.removeprefix(codecs.BOM_UTF8))
        except orjson.JSONDecodeError as error:
            raise Rejected(f"{name}:{number} is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise Rejected(f"{name}:{number} is no JSON object")
        yield number, value


def parse_huggingface(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The rows of a dataset on disk: what `save_to_disk` wrote, or a folder that `load_dataset` opens; all splits."""
    datasets = required("datasets", "huggingface")
    saved = (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()
    try:
        loaded = datasets.load_from_disk(str(path)) if saved else datasets.load_dataset(str(path))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise Rejected(f"{path} is no dataset that can be loaded: {str(error).splitlines()[0]}") from None
    parts = loaded.items() if isinstance(loaded, dict) else [("", loaded)]
    for split, part in parts:
        rows = (_named_all(row, part.features) for row in part.with_format(None))
        yield from _items(f"{path.name}/{split}".rstrip("/"), enumerate(rows), config)


def _named_all(row: Mapping[str, Any], features: Mapping[str, Any]) -> Mapping[str, Any]:
    """Class numbers as their names; those of a list too."""
    return {name: _named(value, features[name]) for name, value in row.items()}


def _named(value: Any, feature: Any) -> Any:
    """A class number as its name; -1 is no label."""
    if isinstance(value, list) and hasattr(feature, "feature"):
        return [_named(one, feature.feature) for one in value]
    if not hasattr(feature, "names") or not isinstance(value, int):
        return value
    return feature.names[value] if value >= 0 else None


def _items(name: str, rows: Iterable[tuple[int, Mapping[str, Any]]], config: LabelConfig) -> Iterator[Item]:
    """Rows with their places in the file."""
    for number, row in rows:
        where = f"{name}:{number}"
        try:
            yield _item(row, where, config)
        except Rejected as error:
            yield faulty(where, str(error))


def _item(row: Mapping[str, Any], where: str, config: LabelConfig) -> Item:
    if None in row:
        raise Rejected("has more fields than the header; put quotes around those that hold the separator")
    if not any(name in row for name in (*_LABELS, "spans")):
        raise Rejected(f"has no answer; its column is called {' or '.join(_LABELS)}, or spans")
    text, key = _first(row, _TEXTS), _first(row, _KEYS)
    if config.inline_text and text is None:
        raise Rejected(f"has no text; its column is called {' or '.join(_TEXTS)}")
    if not config.inline_text and not isinstance(key, str):
        raise Rejected(f"does not say which object it is about; its column is called {' or '.join(_KEYS)}")
    inline = str(text) if config.inline_text else None
    named = _first(row, _NAMES) if config.inline_text else key
    return Item("" if named is None else str(named), tuple(_regions(row, inline)), where, inline)


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _regions(row: Mapping[str, Any], text: str | None) -> Iterator[Region]:
    labels, spans = _labels(_first(row, _LABELS)), _spans(row.get("spans") or ())
    if labels and not spans:
        yield Choice(labels=labels)
    for span in spans:
        try:
            start, end = int(span["start"]), int(span["end"])
            words = (text or "")[start:end]
            if not words or end > len(text or "") or words != span.get("text", words):
                raise Rejected(f"the span {span!r} is not in the text: start and end count its characters")
            yield Span(labels=(str(span["label"]),), start=start, end=end, words=words)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise Rejected(f"a span is {{start, end, label}}, found {span!r}") from None


def _labels(found: Any) -> tuple[str, ...]:
    """One, or several: in a list, or with `|` between them. A number is a label's name too."""
    if found is None:
        return ()
    several = found if isinstance(found, list) else str(found).split("|")
    return tuple(str(label).strip() for label in several if label is not None and str(label).strip())


def _spans(found: Any) -> list[Any]:
    try:
        spans = orjson.loads(found) if isinstance(found, str) else found
    except orjson.JSONDecodeError as error:
        raise Rejected(f"spans is no JSON: {error}") from None
    if not isinstance(spans, list | tuple):
        raise Rejected(f"spans is a list of {{start, end, label}}, found {spans!r}")
    return list(spans)
