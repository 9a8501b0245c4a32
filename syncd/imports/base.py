"""What every parser gives: items, each one object with what somebody said about it.

A parser is a function `(path, config) -> Iterator[Item]`, pure but for reading files. Where one object cannot be
imported its item says so, and the others come all the same; Rejected, which names the file and the place in it, is
for files that are no such thing at all.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Box, Region


@dataclass(frozen=True, slots=True)
class Item:
    """One object and one answer to it.

    `name`: the object's key, or what it ends in, as the file writes it. `text`: the object's content, where the file
    holds it; `name` may then be empty. `where`: the place in the file, for messages. `problem`: why it cannot be
    imported; empty where it can.
    """

    name: str
    regions: tuple[Region, ...]
    where: str
    text: str | None = None
    problem: str = ""


Parser = Callable[[Path, LabelConfig], Iterator[Item]]


def faulty(where: str, problem: str) -> Item:
    """What stands in for an object that cannot be imported."""
    return Item("", (), where, problem=problem)


def careful(parser: Parser) -> Parser:
    """The parser, with files that cannot be read, or are no UTF-8, told as Rejected."""

    @wraps(parser)
    def parse(path: Path, config: LabelConfig) -> Iterator[Item]:
        try:
            yield from parser(path, config)
        except UnicodeDecodeError as error:
            raise Rejected(f"{path} is not all UTF-8 text ({error.reason}); convert it, as with iconv") from None
        except OSError as error:
            raise Rejected(f"{error.filename or path} cannot be read: {error.strerror or error}") from None

    return parse


def controls(config: LabelConfig) -> Set[str]:
    """The kinds of the label config's controls, such as `rectanglelabels`."""
    return {control.kind for control in config.controls.values()}


def original_keys(folder: Path) -> Mapping[str, str]:
    """File → key, where the folder is an export of ours, which had to rename its files and says so in `items.jsonl`."""
    listed = folder / "items.jsonl"
    if not listed.is_file():
        return {}
    try:
        items = [orjson.loads(line) for line in listed.read_bytes().splitlines()]
    except orjson.JSONDecodeError as error:
        raise Rejected(f"{listed} is damaged, and it says which object each file is: {error}") from None
    ours = (item for item in items if isinstance(item, dict) and "file" in item and item.get("key"))
    return {item["file"]: item["key"] for item in ours}


def within(box: Box) -> Box:
    """The box cut to its image, where it sticks out by a pixel at most: tools round, and count from 0 or from 1."""
    left, top = max(box.x, 0.0), max(box.y, 0.0)
    right, bottom = min(box.x + box.width, box.size.width), min(box.y + box.height, box.size.height)
    cut = replace(box, x=left, y=top, width=right - left, height=bottom - top)
    apart = (left - box.x, top - box.y, box.x + box.width - right, box.y + box.height - bottom)
    return cut if max(apart) <= 1 and min(cut.width, cut.height) >= 0 else box
