"""One commit of a dataset, in four steps that may die between any two of them.

Called by `store`, in a thread, and in parts by `restore`. The next commit, by whatever process, finishes what is
missing:

1. Merge the rows into the table (one Lance commit). Dying here leaves rows without a name: named next time.
2. Create `versions/N.json`. This is the commit point: the version exists from here on and never changes.
3. Write the hint `latest.json`.
4. Set the Lance tags `vN` and `latest`, for those who open the table by Lance's own means.

Two processes may commit at once: each merge is a Lance commit on top of the other, and gets a name of its own from
whoever comes first. What was inserted, updated and deleted is counted against the name before. One that expects a
version merges on top of a table that holds just that version's rows, or not at all: Lance refuses its commit where
another landed after it looked.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from syncd.domain.errors import Conflict, Rejected, Retryable
from syncd.domain.model import StagedChange, VersionInfo
from syncd.domain.splits import Splits
from syncd.ports import Clock
from syncd.snapshots.assign import assign
from syncd.snapshots.change import Change
from syncd.snapshots.checksums import record
from syncd.snapshots.label_configs import keep_label_config
from syncd.snapshots.location import Root
from syncd.snapshots.names import Names, moved_on
from syncd.snapshots.retention import SPARE_S
from syncd.snapshots.table import Table

log = structlog.get_logger()

_ATTEMPTS = 20
# The state believes all rows ever committed to be there: without it forgetting them, only new ones would come.
_ANEW = (
    "to start anew, run `syncd dataset delete`, which deletes the dataset's tasks and annotations too, "
    "and then move that folder away"
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit is given, as `SnapshotStore.commit` says."""

    changes: Sequence[StagedChange]
    label_config: str
    splits: Splits | None = None
    expected: int | None = None


def commit(root: Root, names: Names, batch: Batch, clock: Clock) -> VersionInfo | None:
    """Merge and name; None when every row was there and named. Blocking.

    Raises Retryable, Conflict where another version was expected, and Rejected when the table behind the names was
    removed.
    """
    newest = names.newest() if batch.expected is None else names.expected(batch.expected)
    table = opened(root, names, newest)
    if table is None and any(change.row for change in batch.changes):
        table = Table.make(root, names.dataset)
    if table is None:
        return None
    keep_config = partial(keep_label_config, root, names.dataset, batch.label_config)
    try:
        check = _no_check if batch.expected is None else partial(_check_holds, newest)
        check(table)
        merged = merge(table, assign(root, table, batch.changes, batch.splits), clock, check)
    except Conflict:  # what came has to have its name, or no number ever tells of it
        Naming(root, names, table, False, keep_config, clock).run(names.newest())
        raise
    return Naming(root, names, table, merged, keep_config, clock).run(newest)


def _check_holds(newest: VersionInfo | None, table: Table) -> None:
    """Conflict where the table holds other rows than the version does; what maintenance made is the same."""
    if table.merged_since(newest.table_version if newest else 0):
        raise Conflict(moved_on(table.dataset, newest.number if newest else 0))


def _no_check(_: Table) -> None:
    """Any table will do."""


def opened(root: Root, names: Names, newest: VersionInfo | None) -> Table | None:
    """The table with its newest name healed. One older than that name is another table: never name it on."""
    dataset, table = names.dataset, Table.open(root, names.dataset)
    if newest and (table is None or table.version < newest.table_version):
        uri, hint = root.table_uri(dataset), f"restore the folder {root.url}/{dataset} from a backup"
        raise Rejected(f"the table of {dataset}@{newest.name} was removed from {uri}: {hint}; {_ANEW}")
    if newest and table and table.tagged("latest") != newest.table_version:
        _publish(names, table, newest)
    return table


def merge(
    table: Table, changes: Sequence[StagedChange], clock: Clock, check: Callable[[Table], None] = _no_check
) -> bool:
    """Step 1; whether anything was merged. A merge that took so long may have landed where garbage was collected.

    `check` is asked again whenever another commit was quicker.
    """
    started = clock.now()
    merged = table.merge(changes, check)
    took = clock.now() - started
    if took > SPARE_S / 2:
        raise Retryable(f"a commit to {table.dataset!r} stood still for {took:.0f} s: it has to be made again")
    return merged


@dataclass(frozen=True, slots=True)
class Naming:
    """Step 2 to 4 for the table as it stands. `keep_config` keeps the version's label config and gives its hash."""

    root: Root
    names: Names
    table: Table
    merged: bool
    keep_config: Callable[[], str]
    clock: Clock
    restored_from: int | None = None
    by: str = ""

    def run(self, newest: VersionInfo | None) -> VersionInfo | None:
        """The version that covers the table; None when it was covered before, or nothing differs from `newest`.

        Every merge gets a name of its own, also those that other processes have not named yet.
        """
        overtaken, named = 0, None
        while overtaken < _ATTEMPTS:
            if newest and newest.table_version >= self.table.version:
                return self._covering(newest) if self.merged else None
            try:
                info = self._prepared(newest, self._unnamed(newest))
            except (Rejected, Retryable):
                later = self.names.newest()
                if later == newest:
                    raise
                newest = later  # ours was overtaken, and collected meanwhile
                continue
            if info is None:
                return named
            if not self._create(info):  # another took the number, or our own request was repeated
                overtaken, newest = overtaken + 1, self.names.newest()
            elif info.table_version == self.table.version:
                return info
            else:
                newest = named = info
        message = f"others keep naming versions of {self.names.dataset!r}: its rows are in, the next commit names them"
        raise Retryable(message)

    def _covering(self, newest: VersionInfo) -> VersionInfo:
        """The version that another process named our merge by."""
        while newest.number > 1 and (before := self.names.get(newest.number - 1)):
            if before.table_version < self.table.version:
                break
            newest = before
        return newest

    def _unnamed(self, newest: VersionInfo | None) -> list[Table]:
        """The table as each merge without a name left it, oldest first; ours is the last."""
        others = self.table.merges(newest.table_version if newest else 0)
        return [*map(self.table.at, others), self.table]

    def _prepared(self, newest: VersionInfo | None, tables: Sequence[Table]) -> VersionInfo | None:
        """The next version, its checksums recorded; None when nothing differs from `newest`."""
        for table in tables:
            if info := self._info(newest, table):
                record(self.root, table, newest.table_version if newest else 0)
                return info
        return None

    def _info(self, newest: VersionInfo | None, table: Table) -> VersionInfo | None:
        change = table.changed(newest.table_version if newest else 0)
        if not change:
            return None
        by_status = _counted(newest, change)
        return VersionInfo(
            dataset=self.names.dataset,
            number=newest.number + 1 if newest else 1,
            created_at=self.clock.now(),
            rows=sum(by_status.values()),
            inserted=len(change.inserted),
            updated=len(change.updated),
            deleted=len(change.deleted),
            by_status=by_status,
            label_config_hash=self.keep_config(),
            table_version=table.version,
            restored_from=self.restored_from,
            by=self.by,
        )

    def _create(self, info: VersionInfo) -> bool:
        _flush(self.root)
        if not self.names.create(info):
            return False
        _flush(self.root)
        _publish(self.names, self.table, info)
        return True


def _counted(newest: VersionInfo | None, change: Change) -> dict[str, int]:
    """Rows by status: what the newest name says, and what came and went since."""
    counts = Counter(newest.by_status if newest else {})
    counts.update(change.by_status)
    return {status: count for status, count in sorted(counts.items()) if count}


def _publish(names: Names, table: Table, info: VersionInfo) -> None:
    """Step 3 and 4. The version stands already: a failure is left to the next commit, which looks at `latest`."""
    try:
        names.hint(info)
        table.tag(info.name, info.table_version)
        table.tag("latest", info.table_version)
    except Retryable as error:
        log.warning("snapshot.tags_delayed", dataset=info.dataset, version=info.name, reason=str(error))


def _flush(root: Root) -> None:
    """On a local root, have the disk hold what was written: neither library calls fsync."""
    if root.local:
        os.sync()
