"""What changed between two versions of a table, read off the rows that changed.

Called by `store`. Blocking. Which rows those are says the table (`Table.difference`); the updated ones alone are
read on both sides, a few thousand at a time, for a result may be megabytes long.
"""

from collections.abc import Iterator

from syncd.domain.diff import Counts, Diff, Update, update
from syncd.snapshots.table import Table

_AT_ONCE = 5_000


def diff(before: Table | None, after: Table) -> Diff:
    """What changed from one table version to another, older or newer; `before` None is the empty table."""
    change = before.difference(after) if before else after.changed(0)
    return Diff(
        inserted=tuple(sorted(change.inserted)),
        updated=tuple(_updates(before, after, sorted(change.updated))) if before else (),
        deleted=tuple(sorted(change.deleted)),
        before=_counts(before) if before else Counts(),
        after=_counts(after),
    )


def _updates(before: Table, after: Table, ids: list[str]) -> Iterator[Update]:
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        old, new = ({row.annotation_id: row for row in table.rows_of(some)} for table in (before, after))
        yield from (update(old[id_], new[id_]) for id_ in some)


def _counts(table: Table) -> Counts:
    return Counts(labels=table.labels(), status=table.by_status(), splits=table.count("split", "split IS NOT NULL"))
