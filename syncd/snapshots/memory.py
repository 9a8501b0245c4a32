"""Snapshots in memory: the reference of the `SnapshotStore` port, for tests and dry runs.

Nothing outlives the process; one process, one event loop.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from syncd.domain.errors import Rejected
from syncd.domain.model import Row, RowStatus, StagedChange, VersionInfo, digest
from syncd.domain.splits import Splits
from syncd.ports import Clock, Diff
from syncd.snapshots.names import check_tag
from syncd.snapshots.times import canonical

_Rows = dict[str, Row]


@dataclass(slots=True)
class _Dataset:
    versions: list[tuple[VersionInfo, _Rows]] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)

    def rows(self, number: int) -> _Rows:
        if not 1 <= number <= len(self.versions):
            newest = f"the newest is v{len(self.versions)}" if self.versions else "it has no versions yet"
            raise Rejected(f"there is no version v{number}: {newest}")
        return self.versions[number - 1][1]


class MemorySnapshots:
    """The `SnapshotStore` on dicts."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._datasets: dict[str, _Dataset] = {}

    async def probe(self) -> None:
        """Memory can always be written."""

    async def commit(
        self, dataset: str, changes: Sequence[StagedChange], label_config: str, splits: Splits | None = None
    ) -> VersionInfo | None:
        """As the port says."""
        there = self._dataset(dataset)
        before = there.versions[-1][1] if there.versions else {}
        after = _merged(before, changes)
        diff = _diff(before, after)
        if not (diff.inserted or diff.updated or diff.deleted):
            return None
        info = VersionInfo(
            dataset=dataset,
            number=len(there.versions) + 1,
            created_at=self._clock.now(),
            rows=len(after),
            inserted=len(diff.inserted),
            updated=len(diff.updated),
            deleted=len(diff.deleted),
            by_status=dict(Counter(row.status.value for row in after.values())),
            label_config_hash=digest(label_config),
            table_version=len(there.versions) + 1,
        )
        there.versions.append((info, after))
        return info

    async def versions(self, dataset: str) -> list[VersionInfo]:
        """As the port says."""
        return [info for info, _ in self._dataset(dataset).versions]

    async def tag(self, dataset: str, tag: str, number: int) -> None:
        """As the port says. `latest` cannot be set: it follows the newest version."""
        check_tag(tag)
        there = self._dataset(dataset)
        there.rows(number)
        there.tags[tag] = number

    async def tags(self, dataset: str) -> dict[str, int]:
        """As the port says."""
        there = self._dataset(dataset)
        latest = {"latest": len(there.versions)} if there.versions else {}
        return latest | there.tags

    async def rows(self, dataset: str, number: int) -> list[Row]:
        """As the port says."""
        rows = self._dataset(dataset).rows(number)
        return [rows[id_] for id_ in sorted(rows)]

    async def diff(self, dataset: str, before: int, after: int) -> Diff:
        """As the port says."""
        there = self._dataset(dataset)
        return _diff(there.rows(before) if before else {}, there.rows(after))

    def _dataset(self, dataset: str) -> _Dataset:
        return self._datasets.setdefault(dataset, _Dataset())


def _merged(rows: _Rows, changes: Sequence[StagedChange]) -> _Rows:
    after = dict(rows)
    for change in changes:
        if change.row is None:
            after.pop(change.annotation_id, None)
        else:
            after[change.annotation_id] = canonical(change.row)
    return after


def _diff(before: _Rows, after: _Rows) -> Diff:
    both = before.keys() & after.keys()
    return Diff(
        inserted=tuple(sorted(after.keys() - before.keys())),
        updated=tuple(sorted(id_ for id_ in both if before[id_].digest != after[id_].digest)),
        deleted=tuple(sorted(before.keys() - after.keys())),
        labels_before=_labels(before),
        labels_after=_labels(after),
    )


def _labels(rows: _Rows) -> dict[str, int]:
    submitted = (row for row in rows.values() if row.status is RowStatus.SUBMITTED)
    return dict(Counter(label for row in submitted for label in row.labels))
