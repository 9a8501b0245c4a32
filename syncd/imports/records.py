"""Tables and lines: CSV, JSONL and Hugging Face datasets, by the names of their columns.

The object is `key` (or image, audio, file_name, path, uri), or the `text` itself (or sentence, content, review);
`id` names a text. The answer is `label` (or labels, class, category; several as a list, or with `|` between them) and
`spans` (a list of `{start, end, label}`, characters).
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Choice, Region, Span
from syncd.imports.base import Item
from syncd.training.extras import required

_KEYS = ("key", "image", "audio", "file_name", "filename", "path", "uri")
_TEXTS = ("text", "sentence", "content", "review")
_LABELS = ("labels", "label", "class", "category", "choice")
_NAMES = ("id", "name", "index")


def parse_csv(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The rows of a CSV file with a header; the separator is found out."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            dialect: Any = csv.Sniffer().sniff(file.read(64 * 1024), ",;\t")
        except csv.Error:
            dialect = csv.excel
        file.seek(0)
        yield from _items(path.name, csv.DictReader(file, dialect=dialect), config, first=2)


def parse_jsonl(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The lines of a JSONL file, each a JSON object."""
    with path.open("rb") as file:
        yield from _items(path.name, _objects(path.name, file), config, first=1)


def _objects(name: str, lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise Rejected(f"{name}:{number} is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise Rejected(f"{name}:{number} is no JSON object")
        yield value


def parse_huggingface(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The rows of a dataset on disk: what `save_to_disk` wrote, or a folder that `load_dataset` opens; all splits."""
    datasets = required("datasets", "huggingface")
    saved = (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()
    loaded = datasets.load_from_disk(str(path)) if saved else datasets.load_dataset(str(path))
    parts = loaded.values() if isinstance(loaded, dict) else [loaded]
    for part in parts:
        classes = {name: feature.names for name, feature in part.features.items() if hasattr(feature, "names")}
        rows = ({name: _named(value, classes.get(name)) for name, value in row.items()} for row in part)
        yield from _items(path.name, rows, config, first=0)


def _named(value: Any, classes: list[str] | None) -> Any:
    """A class number as its name; -1 is no label."""
    return value if classes is None or not isinstance(value, int) else classes[value] if value >= 0 else None


def _items(name: str, rows: Iterable[Mapping[str, Any]], config: LabelConfig, *, first: int) -> Iterator[Item]:
    for number, row in enumerate(rows, first):
        where = f"{name}:{number}"
        text, key = _first(row, _TEXTS), _first(row, _KEYS)
        if config.inline_text and text is None:
            raise Rejected(f"{where} has no text; its column is called {' or '.join(_TEXTS)}")
        if not config.inline_text and not key:
            raise Rejected(f"{where} does not say which object it is about; its column is called {' or '.join(_KEYS)}")
        inline = str(text) if config.inline_text else None
        named = _first(row, _NAMES) if config.inline_text else key
        yield Item("" if named is None else str(named), tuple(_regions(row, where, inline)), where, inline)


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _regions(row: Mapping[str, Any], where: str, text: str | None) -> Iterator[Region]:
    labels = _first(row, _LABELS)
    if isinstance(labels, str):
        labels = [label.strip() for label in labels.split("|")]
    spans = row.get("spans") or ()
    if labels and not spans:
        yield Choice(labels=tuple(map(str, labels)))
    for span in orjson.loads(spans) if isinstance(spans, str) else spans:
        try:
            start, end = int(span["start"]), int(span["end"])
            yield Span(labels=(str(span["label"]),), start=start, end=end, words=(text or "")[start:end])
        except (KeyError, TypeError, ValueError):
            raise Rejected(f"{where}: a span is {{start, end, label}}, found {span!r}") from None
