"""Snapshots in memory: the reference of the `SnapshotStore` port, for tests and dry runs.

Nothing outlives the process; one process, one event loop.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from syncd.domain.diff import Diff, compare
from syncd.domain.errors import Conflict, Rejected
from syncd.domain.model import Row, StagedChange, VersionInfo, digest
from syncd.domain.splits import Known, Splits, assigned
from syncd.ports import Clock, Collected, Damage, Retention, TagMove
from syncd.snapshots.ledger import Entry, tag_moves
from syncd.snapshots.names import gone, moved_on, no_tag, version_number
from syncd.snapshots.retention import doomed
from syncd.snapshots.tags import Move, check_tag
from syncd.snapshots.times import canonical

_Rows = dict[str, Row]


@dataclass(slots=True)
class _Dataset:
    """`versions`: all ever made, also the collected. `decided`: as in the ledger, the newest last."""

    name: str
    versions: list[tuple[VersionInfo, _Rows]] = field(default_factory=list)
    decided: list[Entry] = field(default_factory=list)

    @property
    def now(self) -> Entry:
        return self.decided[-1] if self.decided else Entry()

    def decide(self, entry: Entry) -> None:
        self.decided.append(replace(entry, serial=len(self.decided) + 1))

    def left(self) -> list[VersionInfo]:
        return [info for info, _ in self.versions if not self.now.has_collected(info.number)]

    def tags(self) -> dict[str, int]:
        latest = {"latest": len(self.versions)} if self.versions else {}
        return latest | dict(self.now.tags)

    def rows(self, number: int) -> _Rows:
        if not 1 <= number <= len(self.versions):
            newest = f"the newest is v{len(self.versions)}" if self.versions else "it has no versions yet"
            raise Rejected(f"dataset {self.name!r} has no version v{number}: {newest}")
        if self.now.has_collected(number):
            at = next(entry.at for entry in self.decided if entry.has_collected(number))
            raise Rejected(gone(self.name, number, at, self.left()[0].number))
        return self.versions[number - 1][1]


class MemorySnapshots:
    """The `SnapshotStore` on dicts."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._datasets: dict[str, _Dataset] = {}

    async def probe(self) -> str:
        """Memory can always be written."""
        return "in memory"

    async def newest(self, dataset: str) -> VersionInfo | None:
        """As the port says."""
        made = self._dataset(dataset).versions
        return made[-1][0] if made else None

    async def commit(
        self,
        dataset: str,
        changes: Sequence[StagedChange],
        label_config: str,
        splits: Splits | None = None,
        *,
        expected: int | None = None,
    ) -> VersionInfo | None:
        """As the port says."""
        there = self._dataset(dataset)
        if expected not in (None, len(there.versions)):
            raise Conflict(moved_on(dataset, expected))
        before = there.versions[-1][1] if there.versions else {}
        if splits:
            changes = assigned(changes, splits, Known.of(before.values(), splits))
        return self._name(there, _merged(before, changes), digest(label_config))

    def _name(
        self, there: _Dataset, after: _Rows, config_hash: str, restored_from: int | None = None, by: str = ""
    ) -> VersionInfo | None:
        diff = compare(there.versions[-1][1] if there.versions else {}, after)
        if not diff:
            return None
        info = VersionInfo(
            dataset=there.name,
            number=len(there.versions) + 1,
            created_at=self._clock.now(),
            rows=len(after),
            inserted=len(diff.inserted),
            updated=len(diff.updated),
            deleted=len(diff.deleted),
            by_status=diff.after.status,
            label_config_hash=config_hash,
            table_version=len(there.versions) + 1,
            restored_from=restored_from,
            by=by,
        )
        there.versions.append((info, after))
        return info

    async def versions(self, dataset: str) -> list[VersionInfo]:
        """As the port says."""
        return self._dataset(dataset).left()

    async def find(self, dataset: str, name: str) -> VersionInfo:
        """As the port says."""
        there = self._dataset(dataset)
        if not there.versions:
            raise Rejected(f"dataset {dataset!r} has no versions yet")
        number = version_number(name) or there.tags().get(name)
        if number is None:
            raise Rejected(no_tag(dataset, name, there.tags()))
        there.rows(number)
        return there.versions[number - 1][0]

    async def tag(self, dataset: str, tag: str, number: int, *, by: str = "", expected: int | None = None) -> None:
        """As the port says. `latest` cannot be set: it follows the newest version."""
        check_tag(tag)
        self._dataset(dataset).rows(number)
        self._move(dataset, Move(tag, number, by, expected))

    async def untag(self, dataset: str, tag: str, *, by: str = "", expected: int | None = None) -> None:
        """As the port says."""
        check_tag(tag)
        self._move(dataset, Move(tag, None, by, expected))

    def _move(self, dataset: str, asked: Move) -> None:
        there = self._dataset(dataset)
        if entry := asked.applied(there.now, self._clock.now()):
            there.decide(entry)

    async def tags(self, dataset: str) -> dict[str, int]:
        """As the port says."""
        return self._dataset(dataset).tags()

    async def tag_moves(self, dataset: str, after: int = 0) -> list[TagMove]:
        """As the port says."""
        return tag_moves(self._dataset(dataset).decided[after:])

    async def collect_garbage(self, dataset: str, keep: Retention, *, dry_run: bool = False) -> Collected:
        """As the port says. Nothing comes free: rows are shared by versions."""
        there, now = self._dataset(dataset), self._clock.now()
        taken = doomed(there.left(), there.now.tags, keep, now)
        if taken and not dry_run:
            there.decide(there.now.without(taken, now))
        return Collected(tuple(taken), 0)

    async def restore(self, dataset: str, number: int, by: str = "") -> VersionInfo | None:
        """As the port says."""
        there = self._dataset(dataset)
        return self._name(there, there.rows(number), there.versions[number - 1][0].label_config_hash, number, by)

    async def maintain(self, dataset: str) -> bool:
        """As the port says: there is nothing to do."""
        return False

    async def verify(self, dataset: str, *numbers: int) -> list[Damage]:
        """As the port says: memory does not rot."""
        for number in numbers:
            self._dataset(dataset).rows(number)
        return []

    async def rows(self, dataset: str, number: int) -> list[Row]:
        """As the port says."""
        rows = self._dataset(dataset).rows(number)
        return [rows[id_] for id_ in sorted(rows)]

    async def pages(self, dataset: str, number: int) -> AsyncIterator[Sequence[Row]]:
        """As the port says."""
        yield await self.rows(dataset, number)

    async def diff(self, dataset: str, before: int, after: int) -> Diff:
        """As the port says."""
        there = self._dataset(dataset)
        return compare(there.rows(before) if before else {}, there.rows(after))

    def _dataset(self, dataset: str) -> _Dataset:
        return self._datasets.setdefault(dataset, _Dataset(dataset))


def _merged(rows: _Rows, changes: Sequence[StagedChange]) -> _Rows:
    after = dict(rows)
    for change in changes:
        if change.row is None:
            after.pop(change.annotation_id, None)
            continue
        old, new = rows.get(change.annotation_id), canonical(change.row)
        after[change.annotation_id] = old if old and old.digest == new.digest else new
    return after
