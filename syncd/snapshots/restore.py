"""Bringing back an older version: what differs from it, as one more commit.

Called by `store`, in a thread. Other processes may commit at once: the version made holds what the old one holds,
exactly, or it is tried again. Dying between merge and name leaves the rows to the next commit, which names them
without saying where they came from.
"""

from syncd.domain.errors import Retryable
from syncd.domain.model import StagedChange, VersionInfo
from syncd.ports import Clock
from syncd.snapshots.commit import Naming, merge, opened
from syncd.snapshots.location import Root
from syncd.snapshots.names import Names
from syncd.snapshots.table import Table, open_version

_ATTEMPTS = 5


def restore(root: Root, names: Names, number: int, by: str, clock: Clock) -> VersionInfo | None:
    """A new version that holds what `number` holds; None where the newest does. Rejected: there is none such."""
    for _ in range(_ATTEMPTS):
        wanted, newest = names.require(number), names.newest()
        old, table = open_version(root, wanted), opened(root, names, newest)
        if table is None or newest is None:  # the names are gone, too
            continue
        changes = _changes(table, old)
        if not changes and _same(table, newest):
            return None
        merge(table, changes, clock)
        if table.difference(old):  # another process merged at once
            continue
        naming = Naming(root, names, table, False, lambda: wanted.label_config_hash, clock, number, by)  # noqa: B023
        if made := naming.run(newest):
            return made
    raise Retryable(f"others keep committing to {names.dataset!r}: restore v{number} again", effect_possible=False)


def _changes(table: Table, old: Table) -> list[StagedChange]:
    """What makes the table what it was."""
    change = table.difference(old)
    rows = old.rows_of([*change.inserted, *change.updated])
    back = [StagedChange(row.annotation_id, row.task_id, row) for row in rows]
    return back + [StagedChange(id_, "", None) for id_ in sorted(change.deleted)]


def _same(table: Table, newest: VersionInfo) -> bool:
    """Whether the newest version holds what the table holds."""
    return newest.table_version == table.version or not table.changed(newest.table_version)
