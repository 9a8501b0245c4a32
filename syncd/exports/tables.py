"""CSV: a row for each answer in `annotations.csv`, flat, for spreadsheets, pandas and SQL.

Columns: `key` and `split`; `answer.CONTROL` for each control of the label config; `data.VARIABLE` for each variable of
the task; then all other columns of the snapshot but its JSON ones, and `other` (answers of no control: relations).
An answer of which there can be one (a single choice, a rating, a number, one text) is the plain value; every other
is JSON: a list of labels, of texts, or of regions as `exports.plain` writes them. The text and regions of one answer
that share an id (OCR) stand together under the control that gave the shape.

RFC 4180 in UTF-8 with line feeds: texts are quoted, so that an empty text (`""`) and nothing (no quotes) differ where
the reader looks. To read it back as it is, keep texts texts, else `007` becomes 7 and `NA` nothing:

    pandas.read_csv("annotations.csv", dtype=str, keep_default_na=False)

Cells are written as they are. What begins with `=`, `+`, `-` or `@` is a formula to a spreadsheet, and texts come from
whoever fills the bucket: before opening it in one, export with the option `spreadsheet=yes`, which puts an apostrophe
before such texts (https://owasp.org/www-community/attacks/CSV_Injection).
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from syncd.domain.labels.configs import Control
from syncd.domain.regions import Choice, Number, Other, Region, Text
from syncd.exports.base import Format, Item, Source
from syncd.exports.plain import json_text, plain
from syncd.exports.texts import per_region, single_choice, text_under, value_at
from syncd.snapshots.schema import JSON_COLUMNS
from syncd.snapshots.times import time_text

_FIRST = ("key", "split")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SINGLE_VALUES = {"pairwise": "selected", "datetime": "datetime"}
_BATCH = 1_000


def _write(source: Source, out: Path) -> None:
    table = _Flat(source)
    options = csv.WriteOptions(quoting_style="needed")
    rows = map(table.row, source.items())
    with csv.CSVWriter(out / "annotations.csv", table.schema, write_options=options) as writer:
        while batch := list(islice(rows, _BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, table.schema))


class _Flat:
    """How the rows of one version lie flat."""

    def __init__(self, source: Source) -> None:
        self._config = source.config
        self._safe = source.options.get("spreadsheet") == "yes"
        controls = self._config.controls.values() if self._config else ()
        self._controls = {control.name: control for control in controls if not per_region(control)}
        self._variables = self._config.variables if self._config else ()
        self._columns = [field for field in source.snapshot.schema if field.name not in JSON_COLUMNS]
        self.schema = pa.schema(
            [*self._named(*_FIRST), *self._flattened(), *self._others(), pa.field("other", pa.string())]
        )

    def _named(self, *names: str) -> list[Any]:
        return [_written(column) for column in self._columns if column.name in names]

    def _others(self) -> list[Any]:
        return [_written(column) for column in self._columns if column.name not in _FIRST]

    def _flattened(self) -> Iterator[Any]:
        for name in (*(f"answer.{name}" for name in self._controls), *(f"data.{name}" for name in self._variables)):
            yield pa.field(name, pa.string())

    def row(self, item: Item) -> dict[str, Any]:
        """The cells of one answer by column."""
        data = item.row["data"] or {}
        cells = {column.name: _cell(item.row[column.name]) for column in self._columns}
        cells |= {f"data.{name}": _text(value_at(data, name)) for name in self._variables}
        for name, control in self._controls.items():
            found = [region for region in item.regions if region.control == name]
            cells[f"answer.{name}"] = _text(self._answer(control, found, data))
        rest = [region for region in item.regions if region.control not in self._controls]
        cells["other"] = _text([self._plain(region, data) for region in rest] or None)
        return {name: _unformulated(cell) for name, cell in cells.items()} if self._safe else cells

    def _answer(self, control: Control, found: Sequence[Region], data: dict[str, Any]) -> Any:
        match found:
            case []:
                return None
            case [Number(value=value)]:
                return int(value) if value.is_integer() else value
            case [Other(raw={"value": dict(value)})] if control.kind in _SINGLE_VALUES:
                return value.get(_SINGLE_VALUES[control.kind])
            case [Choice(paths=paths)]:
                labels = [path[0] if len(path) == 1 else list(path) for path in paths]
                return labels[0] if single_choice(control) and len(labels) == 1 else labels
            case [Text(text=text)]:
                return text[0] if control.attributes.get("maxsubmissions") == "1" and len(text) == 1 else list(text)
        return [self._plain(region, data) for region in found]

    def _plain(self, region: Region, data: dict[str, Any]) -> dict[str, Any]:
        return plain(region, text_under(self._config, data, region))


def _written(column: Any) -> Any:
    """Times and lists are written as text."""
    plain_type = (
        pa.types.is_boolean(column.type) or pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    )
    return pa.field(column.name, column.type if plain_type else pa.string())


def _cell(value: Any) -> Any:
    return time_text(value) if hasattr(value, "tzinfo") else _text(value) if isinstance(value, list) else value


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json_text(value).decode()


def _unformulated(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


FORMAT = Format(
    "csv",
    "CSV: a flat row for each answer",
    _write,
    lambda _source: None,
    per_task=False,
    options={"spreadsheet": "yes: an apostrophe before texts that a spreadsheet would take for formulas"},
)
