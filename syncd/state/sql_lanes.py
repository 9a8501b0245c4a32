"""Statements over all lanes: which waits longest, and how much waits in each. Used by `sql` and `sql_subjects`.

They leap from lane to lane through indexes. Only `backlog` walks all of one (60 ms for 1,000,000 subjects).
"""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    bindparam,
    func,
    literal,
    select,
    union_all,
)

from syncd.domain.model import Kind
from syncd.ports import Backlog, Lane
from syncd.state.schema import subjects

_C = subjects.c


def _lanes() -> CTE:
    """kind and dataset of every lane, and for each kind one row more whose dataset is NULL.

    It leaps from lane to lane through an index, so that a million subjects of one lane hide no other.
    """
    kinds = union_all(*(select(literal(kind).label("kind")) for kind in Kind)).subquery()
    start = select(kinds.c.kind, _dataset_after(kinds.c.kind, literal("")).label("dataset"))
    found = start.cte("lanes", recursive=True)
    leap = select(found.c.kind, _dataset_after(found.c.kind, found.c.dataset)).where(found.c.dataset.is_not(None))
    return found.union_all(leap)


def _dataset_after(kind: ColumnElement[str], dataset: ColumnElement[str]) -> ScalarSelect[Any]:
    other = subjects.alias()
    return select(func.min(other.c.dataset)).where(other.c.kind == kind, other.c.dataset > dataset).scalar_subquery()


def _first_of_lanes() -> Select[Any]:
    """kind, dataset, ready_at of each lane's first subject, the lane that waits longest first."""
    lanes, other = _lanes(), subjects.alias()
    in_lane = (other.c.kind == lanes.c.kind, other.c.dataset == lanes.c.dataset, other.c.ready_at.is_not(None))
    first = select(other.c.n).where(*in_lane).order_by(other.c.ready_at, other.c.n).limit(1).scalar_subquery()
    columns = (_C.kind, _C.dataset, _C.ready_at)
    return select(*columns).select_from(lanes).join(subjects, _C.n == first).order_by(_C.ready_at, _C.n)


def _backlog() -> Select[Any]:
    """kind, dataset, subjects alive, those claimed at `now`, those dead, and when the oldest was first marked.

    Each comes from an index of its own: to group the table would read all of it.
    """
    lanes = _lanes()

    def of_lane(value: ColumnElement[Any], *those: ColumnElement[bool]) -> ScalarSelect[Any]:
        in_lane = (_C.kind == lanes.c.kind, _C.dataset == lanes.c.dataset)
        return select(value).where(*in_lane, *those).correlate(lanes).scalar_subquery()

    return (
        select(
            *lanes.c,
            of_lane(func.count(), _C.ready_at.is_not(None)).label("alive"),
            of_lane(func.count(), _C.lease_until > bindparam("now")).label("claimed"),
            of_lane(func.count(), _C.dead_at.is_not(None)).label("dead"),
            of_lane(func.min(_C.first_marked_at), _C.ready_at.is_not(None)).label("oldest"),
        )
        .where(lanes.c.dataset.is_not(None))
        .order_by(*lanes.c)
    )


_FIRST_OF_LANES = _first_of_lanes()
_BACKLOG = _backlog()


def ready(connection: Connection, now: float) -> list[Lane]:
    """The lanes that have something due, the one that waits longest first."""
    return [(Kind(lane.kind), lane.dataset) for lane in connection.execute(_FIRST_OF_LANES) if lane.ready_at <= now]


def first_ready(connection: Connection) -> float | None:
    """From when on the first of all subjects can be claimed; None where there is none to claim."""
    first = connection.execute(_FIRST_OF_LANES).first()
    return None if first is None else first.ready_at


def backlog(connection: Connection, now: float) -> list[Backlog]:
    """See `Subjects.backlog`."""
    rows = connection.execute(_BACKLOG, {"now": now})
    return [
        Backlog(Kind(row.kind), row.dataset, row.alive - row.claimed, row.claimed, row.dead, row.oldest)
        for row in rows
        if row.alive or row.dead  # else only tombstones
    ]
