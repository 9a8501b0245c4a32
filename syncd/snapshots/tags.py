"""Movable names of versions: what may be one, and how one moves.

Called by the snapshot stores. Moves are written to the `ledger`; this is the rule that both stores follow.
"""

import re
from dataclasses import dataclass

from syncd.domain.errors import Conflict, Rejected
from syncd.snapshots.ledger import Entry
from syncd.snapshots.names import Names

_TAG = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def check_tag(tag: str) -> None:
    """Rejected unless people may move a tag of that name."""
    if tag == "latest" or re.fullmatch(r"v\d+", tag) or tag.endswith(".lock") or not _TAG.fullmatch(tag):
        hint = "a tag is letters, digits, `-`, `_` and single dots; `latest` and `v1`, `v2` … are made by syncd"
        raise Rejected(f"{tag!r} cannot be a tag: {hint}")


@dataclass(frozen=True, slots=True)
class Move:
    """What is asked for: that a tag points at `number` (None: nowhere), if it points at `expected` (0: nowhere) now."""

    tag: str
    number: int | None
    by: str = ""
    expected: int | None = None

    def applied(self, newest: Entry, at: float) -> Entry | None:
        """The decision that does it, None where it is done. Conflict: the tag is not where it is expected."""
        there = newest.tags.get(self.tag, 0)
        if there == (self.number or 0):
            return None
        if self.expected is not None and there != self.expected:
            now = f"points at v{there}" if there else "is not set"
            was = f"at v{self.expected}" if self.expected else "unset"
            raise Conflict(f"tag {self.tag!r} {now}, not {was}: look at its history and decide again")
        return newest.moved(self.tag, self.number, self.by, at)


def move(names: Names, asked: Move, at: float) -> None:
    """Move a tag; nothing where that is done. `at`: unix seconds. Errors as the port says."""

    def decide(newest: Entry) -> Entry | None:
        if asked.number is not None:
            names.require(asked.number, newest)
        return asked.applied(newest, at)

    names.ledger.append(decide)
