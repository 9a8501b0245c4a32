"""Media beside an export: what the files are called, where they came from, and `items.jsonl`, which leads back.

Made by `run` for formats with `media`; formats place pictures through it. Files are brought before the format writes
(`fetching`), into a folder of staged files, so that what is left out is known and sizes can be read; placing moves
them. Every placed picture gets a line for each of its answers in `items.jsonl`.
"""

import shutil
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from syncd.exports.base import Item

ITEMS = "items.jsonl"
_COLUMNS = ("object_uri", "bucket", "key", "etag", "version_id", "task_id", "annotation_id", "split", "digest")


class Media(StrEnum):
    """How media come: as hard links where they lie on this disk (else as copies), as copies, as URIs, not at all."""

    LINK = "link"
    COPY = "copy"
    URI = "uri"
    NONE = "none"

    @property
    def files(self) -> bool:
        """Whether files lie beside the export."""
        return self in {Media.LINK, Media.COPY}


class Changed(StrEnum):
    """What becomes of an image whose object is not what was labelled any more."""

    ERROR = "error"
    SKIP = "skip"
    KEEP = "keep"


Identity = tuple[Hashable, ...]


def identity(row: Mapping[str, Any]) -> Identity:
    """What two answers about the same image share: the version of the object, or else the task."""
    if row.get("key") is None:
        return ("task", row["task_id"])
    return (row["bucket"], row["key"], row["version_id"], row["etag"])


@dataclass(slots=True)
class Beside:
    """Where the media of one export are. `names`: a safe name for each image; `skipped`: images that are left out.

    `advance` is called with how many images were written.
    """

    folder: Path
    mode: Media
    names: Mapping[Hashable, str]
    advance: Callable[[int], object] = lambda _done: None
    skipped: set[Hashable] = field(default_factory=set)
    placed: dict[str, str | None] = field(default_factory=dict)
    _items: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Open `items.jsonl`."""
        self._items = (self.folder / ITEMS).open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        """All is placed: close it, and throw away what was staged."""
        if self._items:
            self._items.close()
        shutil.rmtree(self._staged, ignore_errors=True)

    @property
    def _staged(self) -> Path:
        return self.folder / ".media"

    def file(self, image: Hashable) -> Path | None:
        """The staged file of an image; None where files are not wanted."""
        return self._staged / self.names[image] if self.mode.files else None

    def place(self, image: Identity, items: tuple[Item, ...], path: str) -> str:
        """Put an image at a path of the export (relative, `/`); returns how the format calls it: path or URI."""
        first = items[0].row
        uri = first.get("object_uri") or ""
        if source := self.file(image):
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _again(source, target)
        self.placed[path] = first.get("etag")
        for item in items:
            line = {"file": path, **{name: item.row.get(name) for name in _COLUMNS}}
            if self._items:
                self._items.write(orjson.dumps(line) + b"\n")
        return uri if self.mode is Media.URI and uri else path


def _again(source: Path, target: Path) -> None:
    """The same file under another name; it may be placed more than once."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
