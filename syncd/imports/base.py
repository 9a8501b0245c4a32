"""What every parser gives: items, each one object with what somebody said about it.

A parser is a function `(path, config) -> Iterator[Item]`, pure but for reading files. Rejected names the file and
the place in it.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import orjson

from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Region


@dataclass(frozen=True, slots=True)
class Item:
    """One object and one answer to it.

    `name`: the object's key, or what it ends in, as the file writes it. `text`: the object's content, where the file
    holds it; `name` may then be empty. `where`: the place in the file, for messages.
    """

    name: str
    regions: tuple[Region, ...]
    where: str
    text: str | None = None


Parser = Callable[[Path, LabelConfig], Iterator[Item]]


def controls(config: LabelConfig) -> Set[str]:
    """The kinds of the label config's controls, such as `rectanglelabels`."""
    return {control.kind for control in config.controls.values()}


def original_keys(folder: Path) -> Mapping[str, str]:
    """File → key, where the folder is an export of ours, which had to rename its files and says so in `items.jsonl`."""
    listed = folder / "items.jsonl"
    if not listed.is_file():
        return {}
    with listed.open("rb") as lines:
        items = [orjson.loads(line) for line in lines]
    return {item["file"]: item["key"] for item in items if item.get("key")}
