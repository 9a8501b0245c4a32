"""Statements of the set of subjects: load entries, apply the rules, save them. Used by `sql` only.

Each function is one step of a transaction on the connection it is given. All look up entries through an index,
so their cost follows the batch and not the size of the set. Only `start` walks all of the table, once.
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, delete, or_, select, update

from syncd.domain.model import Claim, DeadLetter, Kind, Mark, Observation, Outcome, Settlement, Subject
from syncd.ports import Lane
from syncd.state import rules, sql_lanes
from syncd.state.database import add_missing, among, among_given, chunks, shared, upsert
from syncd.state.rules import Entry
from syncd.state.schema import subjects

_KINDS = {kind.value: kind for kind in Kind}  # quicker than `Kind(…)`, and there is one for each row
_IDENTITY = ("kind", "dataset", "id")
_OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Observation)
AHEAD = 86_400.0
"""The longest wait, in seconds, that a subject may have left when a daemon starts."""

_C = subjects.c
_ENTRY = [column for column in _C if column.name not in ("n", "ready_at")]


def mark(connection: Connection, marks: Sequence[Mark], now: float) -> None:
    """See `Subjects.mark`. Most are new; those that another process takes out meanwhile begin anew."""
    waiting: dict[Subject, list[Mark]] = defaultdict(list)
    for one in marks:
        waiting[one.subject].append(one)
    while waiting:
        fresh = [_row(_marked(None, waiting[subject], now)) for subject in waiting]
        added = add_missing(connection, subjects, _IDENTITY, fresh)
        there = {subject for subject in waiting if (subject.kind, subject.dataset, subject.id) not in added}
        known = _load(connection, there)
        _save(connection, [_marked(entry, waiting[subject], now) for subject, entry in known.items()])
        waiting = {subject: waiting[subject] for subject in there - known.keys()}


def _marked(entry: Entry | None, marks: Sequence[Mark], now: float) -> Entry:
    after = rules.marked(entry, marks[0], now)
    for one in marks[1:]:
        after = rules.marked(after, one, now)
    return after


def claim(connection: Connection, limit: int, avoid: Collection[Lane], now: float, until: float) -> list[Claim]:
    """See `Subjects.claim`. What another process is claiming at the moment is passed over, not waited for."""
    for lane in sql_lanes.ready(connection, now):
        if lane not in avoid and (claims := _claim(connection, lane, limit, now, until)):
            return claims
    return []


def _claim(connection: Connection, lane: Lane, limit: int, now: float, until: float) -> list[Claim]:
    in_lane = and_(_C.kind == lane[0], _C.dataset == lane[1], _C.ready_at <= now)
    ready = select(*_ENTRY, _C.n).where(in_lane).order_by(_C.ready_at, _C.n).limit(limit)
    rows = connection.execute(ready.with_for_update(skip_locked=True)).all()
    token = secrets.token_hex(16)
    taken = {"token": token, "lease_until": until, "ready_at": until}
    for chunk in chunks([row.n for row in rows]):
        connection.execute(update(subjects).where(among(connection, _C.n, chunk)).values(taken))
    return [rules.claim_of(_entry(row[:-1]), token) for row in rows]


def renew(connection: Connection, claims: Sequence[Claim], until: float) -> int:
    """See `Subjects.renew`."""
    by_token: dict[str, set[Subject]] = defaultdict(set)
    for claim in claims:
        by_token[claim.token].add(claim.subject)
    ready = case((_C.due_at > until, _C.due_at), else_=until)
    renewing = update(subjects).where(_C.token != "").values(lease_until=until, ready_at=ready)
    kept = 0
    for token, held_by_it in by_token.items():
        for those in _parts(connection, held_by_it):
            kept += connection.execute(renewing.where(*those, _C.token == token)).rowcount
    return len(claims) - kept


def are_held(connection: Connection, claims: Sequence[Claim]) -> bool:
    """Whether there are claims, and all of them hold their subjects; until the transaction ends nobody else does."""
    return rules.all_held(_load(connection, {claim.subject for claim in claims}), claims)


def require_held(connection: Connection, claims: Sequence[Claim]) -> None:
    """Conflict where one of the claims was lost; until the transaction ends nobody else takes the others."""
    rules.require_all(held(connection, claims), claims)


def held(connection: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """Those that still hold their subjects; until the transaction ends nobody else claims these."""
    tokens = _tokens(connection, claims) if shared(connection) else _tokens_alone(connection, claims)
    return [claim for claim in claims if claim.token and tokens.get(claim.subject) == claim.token]


def _tokens(connection: Connection, claims: Sequence[Claim]) -> dict[Subject, str]:
    """By which claims their subjects are held; these are locked."""
    tokens: dict[Subject, str] = {}
    for those in _parts(connection, {claim.subject for claim in claims}):
        look_up = select(_C.kind, _C.dataset, _C.id, _C.token).where(*those).order_by(_C.id).with_for_update()
        tokens.update((Subject(Kind(kind), *rest), token) for kind, *rest, token in connection.execute(look_up))
    return tokens


def _tokens_alone(connection: Connection, claims: Sequence[Claim]) -> dict[Subject, str]:
    """The same where nobody else writes: what a token holds, a batch, is sooner read than looked up one by one."""
    tokens: dict[Subject, str] = {}
    for kind, dataset, token in {(claim.subject.kind, claim.subject.dataset, claim.token) for claim in claims}:
        ids = connection.execute(_HELD, {"of_kind": kind, "of_dataset": dataset, "of_token": token}).scalars()
        tokens.update((Subject(kind, dataset, id_), token) for id_ in ids)
    return tokens


_HELD = select(_C.id).where(
    _C.kind == bindparam("of_kind"),
    _C.dataset == bindparam("of_dataset"),
    _C.lease_until.is_not(None),  # by the index of those claimed
    _C.token == bindparam("of_token"),
)


def settle(connection: Connection, settlements: Sequence[Settlement], now: float) -> int:
    """See `Subjects.settle`."""
    first: dict[Subject, Settlement] = {}
    for one in settlements:
        first.setdefault(one.claim.subject, one)  # settled once, a claim is over
    gone = _take_out(connection, [one.claim for one in first.values() if _leaves(one)])
    entries = _load(connection, first.keys() - gone)
    held_ones = [one for subject, one in first.items() if rules.held(entries.get(subject), one.claim)]
    after = {one.claim.subject: rules.settled(entries[one.claim.subject], one, now) for one in held_ones}
    _save(connection, [entry for entry in after.values() if entry])
    discard(connection, [subject for subject, entry in after.items() if entry is None])
    return len(settlements) - len(gone) - len(after)


def _leaves(settlement: Settlement) -> bool:
    """Whether its subject leaves the set, unless it was marked meanwhile: what nearly all do."""
    return settlement.outcome is Outcome.DONE and not settlement.vanished


def _take_out(connection: Connection, done: Sequence[Claim]) -> set[Subject]:
    """Take out those that are as they were when they were claimed, in one statement; which. It need not find all."""
    alike: dict[tuple[Lane, str, int], list[str]] = defaultdict(list)
    for claim in done:
        lane = (claim.subject.kind, claim.subject.dataset)
        alike[lane, claim.token, claim.generation].append(claim.subject.id)
    if not alike:
        return set()
    ((kind, dataset), token, generation), ids = max(alike.items(), key=lambda item: len(item[1]))
    found: set[Subject] = set()
    for chunk in chunks(sorted(ids) if token else []):
        these = (_C.kind == kind, _C.dataset == dataset, among(connection, _C.id, chunk), _C.token == token)
        taken = delete(subjects).where(*these, _C.generation == generation).returning(_C.id)
        found.update(Subject(kind, dataset, id_) for id_ in connection.execute(taken).scalars())
    return found


def start(connection: Connection, now: float, *, alone: bool) -> None:
    """Bring back the times of a clock that has been set back since. Who is alone ends every claim: its holder is dead.

    What was claimed had its turn: where that is what its holder died of, the others come first now.
    Nothing was marked, or failed, later than now. Who would wait longer than AHEAD is due now: where that was
    meant (a long quiet time), early is harmless, while hours or days of silence are not.
    """
    last = case((_C.due_at > now, _C.due_at), else_=now)
    if alone:
        freed = update(subjects).values(token="", lease_until=None, due_at=last, ready_at=last)
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
    """The entries of those subjects that are in the set; where others write too they are locked, in one order."""
    found: dict[Subject, Entry] = {}
    look_up = _look_up(shared(connection))
    for ids in _by_lane(chosen):
        found.update((entry.subject, entry) for entry in map(_entry, connection.execute(look_up, ids)))
    return found


@cache
def _look_up(many: bool) -> Select[Any]:
    """Entries by parameters, made once for each dialect: to build it takes longer than to run it."""
    those = (_C.kind == bindparam("of_kind"), _C.dataset == bindparam("of_dataset"), among_given(many, _C.id, "ids"))
    return select(*_ENTRY).where(*those).order_by(_C.id).with_for_update()


def discard(connection: Connection, gone: Collection[Subject]) -> None:
    """Take subjects out of the set, whatever their standing."""
    for those in _parts(connection, gone):
        connection.execute(delete(subjects).where(*those))


def _parts(connection: Connection, chosen: Collection[Subject]) -> Iterator[tuple[ColumnElement[bool], ...]]:
    """The same as conditions."""
    for ids in _by_lane(chosen):
        yield _C.kind == ids["of_kind"], _C.dataset == ids["of_dataset"], among(connection, _C.id, ids["ids"])


def _by_lane(chosen: Collection[Subject]) -> Iterator[dict[str, Any]]:
    """Parameters of `_look_up`: SQLite takes its index for a list of ids, but not for one of whole identities."""
    ids: dict[Lane, list[str]] = defaultdict(list)
    for subject in sorted(chosen, key=_in_order):
        ids[subject.kind, subject.dataset].append(subject.id)
    for (kind, dataset), in_lane in ids.items():
        for chunk in chunks(in_lane):
            yield {"of_kind": kind, "of_dataset": dataset, "ids": chunk}


def _in_order(subject: Subject) -> tuple[str, str, str]:
    return subject.kind, subject.dataset, subject.id


def _entry(row: Sequence[Any]) -> Entry:
    kind, dataset, id_, generation, due_at, first_marked_at, observation, *rest = row
    seen = None if observation is None else _OBSERVATION.validate_json(observation)
    return Entry(Subject(_KINDS[kind], dataset, id_), generation, due_at, first_marked_at, seen, *rest)


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
        "traces": entry.traces,
        "ready_at": entry.ready_at,
    }
