"""Versioned rows."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from syncd.domain.diff import Diff
from syncd.domain.model import Row, StagedChange, VersionInfo
from syncd.domain.splits import Splits


@dataclass(frozen=True, slots=True)
class TagMove:
    """One entry of a tag's history. `number` None: the tag was taken away. `at`: unix seconds; `by`: who says so."""

    serial: int
    tag: str
    number: int | None
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class Retention:
    """Which versions garbage collection keeps besides tagged ones and the newest.

    The last `versions`, and those younger than `age` seconds.
    """

    versions: int = 10
    age: float = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What garbage collection took (or would take): version numbers, and the bytes that came free.

    Bytes may come free later than their version goes: a store may spare what is young.
    """

    versions: tuple[int, ...]
    bytes: int


class Trouble(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"
    CHANGED = "changed"
    UNKNOWN = "unreadable"


@dataclass(frozen=True, slots=True)
class Damage:
    """One file of a version that is not as it was written. `path` below the snapshot root."""

    path: str
    trouble: Trouble


class SnapshotStore(Protocol):
    """Versioned rows, one table per dataset. Versions are immutable and numbered v1, v2, … without gaps."""

    async def probe(self) -> str:
        """Prove that versions can be written here; what was found, in one line. ConfigError: they cannot, and why."""
        ...

    async def newest(self, dataset: str) -> VersionInfo | None:
        """The newest version; None where there is none yet."""
        ...

    async def commit(
        self,
        dataset: str,
        changes: Sequence[StagedChange],
        label_config: str,
        splits: Splits | None = None,
        *,
        expected: int | None = None,
    ) -> VersionInfo | None:
        """Merge the changes as one new version; None when the table already holds all of them.

        `expected`: only on top of that version (0: only where there is none yet). Conflict, and nothing was merged:
        rows came since, by whomever; they are in a version now. So whoever read the newest number before the changes
        never puts what is old over what is newer, however long it slept in between.

        `label_config`: its canonical text, kept with the version. An object keeps the split it has; one that comes
        new is given one by `splits` (None: it has none). Idempotent: the same changes again make no version. A
        crash in the middle leaves every named version readable, and the next commit heals the rest. Safe against
        another process committing at once.
        """
        ...

    async def versions(self, dataset: str) -> list[VersionInfo]:
        """All named versions that garbage collection left, oldest first; empty where there are none."""
        ...

    async def find(self, dataset: str, name: str) -> VersionInfo:
        """The version that a name means: `v3`, a tag, or `latest`. Rejected: there is none; says what there is."""
        ...

    async def tag(self, dataset: str, tag: str, number: int, *, by: str = "", expected: int | None = None) -> None:
        """Point a movable name at a version. Idempotent: nothing is done where it points there, whatever `expected`.

        `expected`: move it only from that version (0: only where it is not set yet). Conflict: it points elsewhere.
        `by`: who says so, for the history. Rejected: no such version (any more), or a name that is no tag (`v3`).
        """
        ...

    async def untag(self, dataset: str, tag: str, *, by: str = "", expected: int | None = None) -> None:
        """Take a movable name away. Idempotent. Conflict: as for `tag`."""
        ...

    async def tags(self, dataset: str) -> dict[str, int]:
        """Movable name → version number; `latest` is among them once there is a version."""
        ...

    async def tag_moves(self, dataset: str, after: int = 0) -> list[TagMove]:
        """The history of the tags, oldest first, from behind the serial `after`."""
        ...

    async def collect_garbage(self, dataset: str, keep: Retention, *, dry_run: bool = False) -> Collected:
        """Take away versions that nothing keeps, and the files only they need. Never the newest, nor a tagged one.

        `dry_run`: only say what would be taken now.

        Safe against tagging, committing and another collection at once: a version is either tagged or taken, never
        both. A crash in the middle is finished by the next collection.
        """
        ...

    async def restore(self, dataset: str, number: int, by: str = "") -> VersionInfo | None:
        """Make a new version that holds what an older one holds; None where the newest does.

        `by`: who says so, kept with the version, as is which version it was restored from. Rejected: none such.
        """
        ...

    async def maintain(self, dataset: str) -> bool:
        """Compact the table where many small commits have gathered; whether anything was done. Makes no version.

        What is read of any version is the same before and after. Safe against commits at once.
        """
        ...

    async def verify(self, dataset: str, *numbers: int) -> list[Damage]:
        """Every file of these versions that is missing or not as it was written, by path; empty where all is well.

        No numbers: all versions that are left. A file that several of them need is read once. Rejected: no such
        version (any more).
        """
        ...

    async def rows(self, dataset: str, number: int) -> list[Row]:
        """All rows of a version in order of annotation id. For tests and small tables. Rejected: no such version."""
        ...

    def pages(self, dataset: str, number: int) -> AsyncIterator[Sequence[Row]]:
        """All rows of a version, some thousand at a time and in no order. Rejected: no such version."""
        ...

    async def diff(self, dataset: str, before: int, after: int) -> Diff:
        """What changed from one version to another; `before` 0 is the empty table. Rejected: no such version."""
        ...
