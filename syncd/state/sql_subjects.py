"""Statements of the set of subjects: load entries, apply the rules, save them. Used by `sql` only.

Each function is one step of a transaction on the connection it is given. All look up entries through an index,
so their cost follows the batch and not the size of the set. Only `backlog` walks all of one index (60 ms for
1,000,000 subjects), and `start` all of the table, once.
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from syncd.domain.model import Claim, DeadLetter, Kind, Mark, Observation, Settlement, Subject
from syncd.ports import Backlog, Lane
from syncd.state import rules
from syncd.state.database import chunks, upsert
from syncd.state.rules import Entry
from syncd.state.schema import subjects

_IDENTITY = ("kind", "dataset", "id")
_OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Observation)
AHEAD = 86_400.0
"""The longest wait, in seconds, that a subject may have left when a daemon starts."""

_C = subjects.c
_ENTRY = [column for column in _C if column.name not in ("n", "ready_at")]
_THESE = (
    _C.kind == bindparam("in_kind"),
    _C.dataset == bindparam("in_dataset"),
    _C.id.in_(bindparam("ids", expanding=True)),
)
_LOOK_UP = select(*_ENTRY).where(*_THESE).with_for_update()  # made once: building costs more than running
_DELETE = delete(subjects).where(*_THESE)


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


def mark(connection: Connection, marks: Sequence[Mark], now: float) -> None:
    """See `Subjects.mark`."""
    entries = _load(connection, {mark.subject for mark in marks})
    for one in marks:
        entries[one.subject] = rules.marked(entries.get(one.subject), one, now)
    _save(connection, entries.values())


def claim(connection: Connection, limit: int, avoid: Collection[Lane], now: float, until: float) -> list[Claim]:
    """See `Subjects.claim`."""
    lanes = connection.execute(_FIRST_OF_LANES)
    first = next((lane for lane in lanes if (Kind(lane.kind), lane.dataset) not in avoid), None)
    if first is None or first.ready_at > now:
        return []
    in_lane = and_(_C.kind == first.kind, _C.dataset == first.dataset, _C.ready_at <= now)
    ready = select(*_ENTRY).where(in_lane).order_by(_C.ready_at, _C.n).limit(limit)
    rows = connection.execute(ready.with_for_update(skip_locked=True)).all()
    token = secrets.token_hex(16)
    entries = [rules.claimed(_entry(row), token, until) for row in rows]
    _save(connection, entries)
    return [rules.claim_of(entry) for entry in entries]


def first_ready(connection: Connection) -> float | None:
    """From when on the first of all subjects can be claimed; None where there is none to claim."""
    first = connection.execute(_FIRST_OF_LANES).first()
    return None if first is None else first.ready_at


def renew(connection: Connection, claims: Sequence[Claim], until: float) -> None:
    """See `Subjects.renew`."""
    entries = _load(connection, {claim.subject for claim in claims})
    held = [c for c in claims if rules.held(entries.get(c.subject), c)]
    _save(connection, [rules.claimed(entries[c.subject], c.token, until) for c in held])


def settle(connection: Connection, settlements: Sequence[Settlement], now: float) -> None:
    """See `Subjects.settle`."""
    entries = _load(connection, {one.claim.subject for one in settlements})
    after: dict[Subject, Entry | None] = {}
    for one in settlements:
        entry = entries.pop(one.claim.subject, None)  # settled once, a claim is over
        if entry and rules.held(entry, one.claim):
            after[entry.subject] = rules.settled(entry, one, now)
    _save(connection, [entry for entry in after.values() if entry])
    discard(connection, [subject for subject, entry in after.items() if entry is None])


def start(connection: Connection, now: float) -> None:
    """End every claim: their holder is dead. Bring back the times of a clock that has been set back since.

    Nothing was marked, or failed, later than now. Who would wait longer than AHEAD is due now: where that was
    meant (a long quiet time), early is harmless, while hours or days of silence are not.
    """
    freed = update(subjects).values(token="", lease_until=None, ready_at=_C.due_at)
    connection.execute(freed.where(_C.token != ""))
    ahead = now + AHEAD
    for column, latest in (
        (_C.due_at, ahead),
        (_C.ready_at, ahead),
        (_C.first_marked_at, now),
        (_C.failing_since, now),
        (_C.gone_at, now),
    ):
        connection.execute(update(subjects).values({column: now}).where(column > latest))


def backlog(connection: Connection, now: float) -> list[Backlog]:
    """See `Subjects.backlog`."""
    rows = connection.execute(_BACKLOG, {"now": now})
    return [
        Backlog(Kind(row.kind), row.dataset, row.alive - row.claimed, row.claimed, row.dead, row.oldest)
        for row in rows
        if row.alive or row.dead  # else only tombstones
    ]


def dead_letters(connection: Connection, dataset: str | None) -> list[DeadLetter]:
    """See `Subjects.dead_letters`."""
    dead = select(*_ENTRY).where(_C.dead_at.is_not(None)).order_by(_C.dead_at, _C.n)
    below = _C.dataset.startswith(f"{dataset}/", autoescape=True)
    ours = dead if dataset is None else dead.where(or_(_C.dataset == dataset, below))
    return [rules.dead_letter(_entry(row)) for row in connection.execute(ours)]


def revive(connection: Connection, chosen: Collection[Subject], now: float) -> int:
    """See `Subjects.revive`."""
    dead = _dead(connection, chosen)
    _save(connection, [rules.revived(entry, now) for entry in dead])
    return len(dead)


def drop(connection: Connection, chosen: Collection[Subject]) -> int:
    """See `Subjects.drop`."""
    dead = _dead(connection, chosen)
    discard(connection, [entry.subject for entry in dead])
    return len(dead)


def prune_gone(connection: Connection, before: float) -> int:
    """See `Subjects.prune_gone`."""
    return connection.execute(delete(subjects).where(_C.gone_at < before)).rowcount


def _dead(connection: Connection, chosen: Collection[Subject]) -> list[Entry]:
    return [entry for entry in _load(connection, set(chosen)).values() if entry.dead_at is not None]


def _load(connection: Connection, chosen: Collection[Subject]) -> dict[Subject, Entry]:
    """The entries of those subjects that are in the set, locked where the dialect locks rows."""
    found: dict[Subject, Entry] = {}
    for these in _parts(chosen):
        found.update((entry.subject, entry) for entry in map(_entry, connection.execute(_LOOK_UP, these)))
    return found


def discard(connection: Connection, gone: Collection[Subject]) -> None:
    """Take subjects out of the set, whatever their standing."""
    for these in _parts(gone):
        connection.execute(_DELETE, these)


def _parts(chosen: Collection[Subject]) -> Iterator[dict[str, Any]]:
    """Parameters of `_THESE`: SQLite takes its index for a list of ids, but not for one of whole identities."""
    ids: dict[tuple[Kind, str], list[str]] = defaultdict(list)
    for subject in chosen:
        ids[subject.kind, subject.dataset].append(subject.id)
    for (kind, dataset), in_group in ids.items():
        for chunk in chunks(in_group):
            yield {"in_kind": kind, "in_dataset": dataset, "ids": chunk}


def _entry(row: Sequence[Any]) -> Entry:
    kind, dataset, id_, generation, due_at, first_marked_at, observation, *rest = row
    seen = None if observation is None else _OBSERVATION.validate_json(observation)
    return Entry(Subject(Kind(kind), dataset, id_), generation, due_at, first_marked_at, seen, *rest)


def _save(connection: Connection, entries: Collection[Entry]) -> None:
    upsert(connection, subjects, _IDENTITY, [_row(entry) for entry in entries])


def _row(entry: Entry) -> dict[str, Any]:
    seen = entry.observation
    return {
        "kind": entry.subject.kind,
        "dataset": entry.subject.dataset,
        "id": entry.subject.id,
        "generation": entry.generation,
        "due_at": entry.due_at,
        "first_marked_at": entry.first_marked_at,
        "observation": None if seen is None else _OBSERVATION.dump_json(seen).decode(),
        "attempts": entry.attempts,
        "failing_since": entry.failing_since,
        "lease_until": entry.lease_until,
        "token": entry.token,
        "dead_at": entry.dead_at,
        "reason": entry.reason,
        "gone_at": entry.gone_at,
        "ready_at": entry.ready_at,
    }
