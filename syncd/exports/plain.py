"""Regions as plain JSON values, for the formats that have no words of their own for them (CSV, JSON lines).

A box is `{"type": "box", "labels": ["car"], "x": 12.0, …}`: names, units and origins are those of `domain.regions`.
What is empty is left out; the size of the image is left out too where it is not needed to read the numbers.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from syncd.domain.regions import Region, Span
from syncd.domain.regions.offsets import code_points
from syncd.snapshots.times import time_text


def plain(region: Region, text: str | None = None) -> dict[str, Any]:
    """The region as a JSON object. `text`: what its offsets are in, so that they come out in code points."""
    values = {field.name: getattr(region, field.name) for field in dataclasses.fields(region)}
    if isinstance(region, Span) and text is not None:
        start, end = code_points(text, region)
        values |= {"start": start, "end": end, "words": text[start:end]}
    if "size" in values:
        values["size"] = [region.size.width, region.size.height]  # type: ignore[attr-defined]
    kept = {name: value for name, value in values.items() if value not in ((), {}, "", None) and name != "item"}
    page = {"item": region.item} if region.item else {}
    return {"type": type(region).__name__.lower(), **kept, **page}


def json_text(value: object) -> bytes:
    """The value as JSON on one line: UTF-8, times in UTC as `2026-11-20T18:00:00Z`, always the same bytes.

    Line ends of Unicode are written as escapes: some readers of JSON lines end a line at them.
    """
    text = orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
    for character in "\u0085\u2028\u2029":
        text = text.replace(character.encode(), f"\\u{ord(character):04x}".encode())
    return text


def _default(value: object) -> object:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
