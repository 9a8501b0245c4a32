"""Damage to files, at random and undone afterwards: a flipped bit, a cut end, a file that is gone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from syncd.ports import Trouble
from syncd.snapshots.location import Root

KINDS = ("flip", "truncate", "remove")


class Files(Protocol):
    """Where files are: what `Root` can do."""

    def read(self, path: str) -> bytes | None: ...

    def overwrite(self, path: str, data: bytes) -> None: ...

    def remove(self, paths: list[str]) -> None: ...


@dataclass(frozen=True)
class Harm:
    """One damage: `content` is what stands there now, None for nothing."""

    path: str
    kind: str
    content: bytes | None

    @property
    def trouble(self) -> Trouble:
        """What `verify` should call it."""
        return Trouble.MISSING if self.content is None else Trouble.CHANGED


def harm(path: str, data: bytes, kind: str, chance: random.Random) -> Harm:
    """Damage of a kind at a random place. A file without bytes can only be removed."""
    if kind == "remove" or not data:
        return Harm(path, "remove", None)
    if kind == "truncate":
        return Harm(path, kind, data[: chance.randrange(len(data))])
    at = chance.randrange(len(data))
    return Harm(path, kind, data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :])


@contextmanager
def damaged(root: Root, path: str, kind: str, chance: random.Random) -> Iterator[Harm]:
    """The file damaged within, and as it was behind."""
    data = root.read(path)
    assert data is not None
    done = harm(path, data, kind, chance)
    if done.content is None:
        root.remove([path])
    else:
        root.overwrite(path, done.content)
    yield done
    root.overwrite(path, data)
