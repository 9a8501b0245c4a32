"""Versioned rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from syncd.domain.model import Row, StagedChange, VersionInfo


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two versions, by annotation id; label counts before and after (submitted rows)."""

    inserted: tuple[str, ...]
    updated: tuple[str, ...]
    deleted: tuple[str, ...]
    labels_before: Mapping[str, int]
    labels_after: Mapping[str, int]


class SnapshotStore(Protocol):
    """Versioned rows, one table per dataset. Versions are immutable and numbered v1, v2, … without gaps."""

    async def probe(self) -> None:
        """Prove that versions can be written here. ConfigError: they cannot, and why."""
        ...

    async def commit(self, dataset: str, changes: Sequence[StagedChange], label_config_hash: str) -> VersionInfo | None:
        """Merge the changes as one new version; None when the table already holds all of them.

        Idempotent: the same changes again make no version. A crash in the middle leaves every named version
        readable, and the next commit heals the rest. Safe against another process committing at once.
        """
        ...

    async def versions(self, dataset: str) -> list[VersionInfo]:
        """All named versions, oldest first; empty where there are none."""
        ...

    async def tag(self, dataset: str, tag: str, number: int) -> None:
        """Point a movable name at a version. Idempotent. Rejected: no such version, or a name that is no tag (`v3`)."""
        ...

    async def tags(self, dataset: str) -> dict[str, int]:
        """Movable name → version number; `latest` is among them once there is a version."""
        ...

    async def rows(self, dataset: str, number: int) -> list[Row]:
        """All rows of a version in order of annotation id. For tests and small tables. Rejected: no such version."""
        ...

    async def diff(self, dataset: str, before: int, after: int) -> Diff:
        """What changed from one version to another; `before` 0 is the empty table. Rejected: no such version."""
        ...
