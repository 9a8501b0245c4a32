"""Statements of records and intents. Used by `sql` only; each is one step of a transaction."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Select, delete, select, tuple_

from syncd.domain.model import Claim, Intent, Mark, ObjectRef, Part, Placement, Record, TaskState
from syncd.ports import KnownVersion
from syncd.state import sql_subjects
from syncd.state.database import add_missing, among, chunks, one_at_a_time, upsert
from syncd.state.rules import task_order
from syncd.state.schema import intents, records

_PAGE = 1000
_VERSIONS_PAGE = 10_000
_PLACEMENTS: TypeAdapter[tuple[Placement, ...]] = TypeAdapter(tuple[Placement, ...])
_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])
_C = records.c
_RECORD = (
    *(_C.dataset, _C.bucket, _C.key, _C.task_key, _C.task_id, _C.etag, _C.version_id, _C.size, _C.serial, _C.state),
    _C.parts,
)
_VERSION = (_C.key, _C.etag, _C.version_id, _C.state, _C.parts.is_not(None))
_IDENTITY = ("dataset", "task_key")
_OBJECT_ORDER = (_C.key, _C.serial, _C.task_number, _C.task_id)


def of_objects(connection: Connection, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[Record]]:
    """See `Records.records`."""
    keys: dict[str, set[str]] = defaultdict(set)
    for ref in refs:
        keys[ref.bucket].add(ref.key)
    found: dict[ObjectRef, list[Record]] = defaultdict(list)
    for bucket, in_bucket in keys.items():
        for chunk in chunks(list(in_bucket)):
            ours = _select(dataset).where(_C.bucket == bucket, among(connection, _C.key, chunk))
            for record in map(_record, connection.execute(ours.order_by(*_OBJECT_ORDER))):
                found[record.ref].append(record)
    return dict(found)


def by_task(connection: Connection, dataset: str, task_ids: Sequence[str]) -> dict[str, list[Record]]:
    """See `Records.by_task`."""
    found: dict[str, list[Record]] = defaultdict(list)
    for chunk in chunks(list(set(task_ids))):
        rows = connection.execute(_select(dataset).where(among(connection, _C.task_id, chunk)).order_by(_C.task_key))
        for record in map(_record, rows):
            found[record.task_id].append(record)
    return dict(found)


def task_keys(connection: Connection, dataset: str, keys: Sequence[str]) -> set[str]:
    """See `Records.task_keys`."""
    found: set[str] = set()
    for chunk in chunks(list(set(keys))):
        ours = select(_C.task_key).where(_C.dataset == dataset, among(connection, _C.task_key, chunk))
        found.update(connection.execute(ours).scalars())
    return found


def object_page(connection: Connection, dataset: str, bucket: str, after: str) -> list[Record]:
    """The next page of `Records.walk`: all records up to the key of the page's last row, so no object is split."""
    behind = _select(dataset).where(_C.bucket == bucket, _C.key > after)
    last = behind.with_only_columns(_C.key).order_by(_C.key).offset(_PAGE - 1).limit(1)
    key = connection.execute(last).scalar()
    page = behind if key is None else behind.where(_C.key <= key)
    return [_record(row) for row in connection.execute(page.order_by(*_OBJECT_ORDER))]


def version_page(
    connection: Connection, dataset: str, bucket: str, after: str, upto: str | None
) -> Sequence[KnownVersion]:
    """The next page of `Records.walk_versions`; a page that is full ends before its last object, which may be cut."""
    ours = select(*_VERSION).where(_C.dataset == dataset, _C.bucket == bucket)
    behind = ours.where(_C.key > after) if upto is None else ours.where(_C.key > after, _C.key <= upto)
    rows = _tuples(connection, behind.order_by(_C.key, _C.serial).limit(_VERSIONS_PAGE))
    if len(rows) < _VERSIONS_PAGE:
        return rows
    last = rows[-1][0]
    if whole := rows[: bisect_left(rows, last, key=itemgetter(0))]:
        return whole
    return _tuples(connection, ours.where(_C.key == last).order_by(_C.serial))


def _tuples(connection: Connection, chosen: Select[Any]) -> Sequence[Any]:
    """The driver's own rows: SQLAlchemy's cost three times as much, and there are as many as objects."""
    cursor: Any = connection.execute(chosen).cursor
    return cursor.fetchall()  # type: ignore[no-any-return]


def task_page(connection: Connection, dataset: str, after: tuple[int, str, str]) -> list[Record]:
    """The next page of `Records.walk_tasks`, from behind that place in the order of task ids (and keys)."""
    order = (_C.task_number, _C.task_id, _C.task_key)
    page = _select(dataset).where(tuple_(*order) > after).order_by(*order).limit(_PAGE)
    return [_record(row) for row in connection.execute(page)]


def _select(dataset: str) -> Select[Any]:
    return select(*_RECORD).where(_C.dataset == dataset)


def _record(row: Sequence[Any]) -> Record:
    dataset, bucket, key, task_key, task_id, etag, version_id, size, serial, state, parts = row
    made_of = _PARTS.validate_json(parts) if parts else ()
    ref = ObjectRef(bucket, key)
    return Record(dataset, ref, task_key, task_id, etag, version_id, size, serial, TaskState(state), made_of)


def intend(connection: Connection, intent: Intent, held: Sequence[Claim]) -> None:
    """See `Records.intend`; the same marker again replaces the intent."""
    sql_subjects.require_held(connection, held)
    row = {
        "dataset": intent.dataset,
        "marker": intent.marker,
        "created_at": intent.created_at,
        "placements": _PLACEMENTS.dump_json(intent.placements).decode(),
    }
    upsert(connection, intents, ("marker",), [row])


def of_dataset(connection: Connection, dataset: str) -> list[Intent]:
    """See `Records.intents`."""
    columns = (intents.c.marker, intents.c.created_at, intents.c.placements)
    ours = select(*columns).where(intents.c.dataset == dataset).order_by(intents.c.created_at, intents.c.n)
    return [
        Intent(dataset, marker, created_at, _PLACEMENTS.validate_json(placements))
        for marker, created_at, placements in connection.execute(ours)
    ]


def record(connection: Connection, made: Sequence[Record]) -> None:
    """See `Records.record`."""
    upsert(connection, records, _IDENTITY, [_row(one) for one in made])


def fulfil(connection: Connection, marker: str | None, made: Sequence[Record], held: Sequence[Claim]) -> list[Record]:
    """See `Records.fulfil`."""
    if marker and not abandon(connection, marker) and not sql_subjects.are_held(connection, held):
        return []
    _lock(connection, made)
    first = {_name(one): one for one in reversed(made)}
    added = add_missing(connection, records, _IDENTITY, [_row(one) for one in first.values()])
    standing = first | _standing(connection, [one for name, one in first.items() if name not in added])
    return [one for one in made if standing[_name(one)].task_id == one.task_id]


def amend(
    connection: Connection,
    changes: Sequence[tuple[Record, Record]],
    marks: Sequence[Mark],
    held: Sequence[Claim],
    now: float,
) -> list[Record]:
    """See `Records.amend`."""
    sql_subjects.require_held(connection, held)
    there = _standing(connection, [before for before, _ in changes])
    amended = [after for before, after in changes if there.get(_name(before)) == before]
    record(connection, amended)
    sql_subjects.mark(connection, marks, now)
    return amended


def _standing(connection: Connection, ours: Sequence[Record]) -> dict[tuple[str, str], Record]:
    """What is recorded under their task keys; nobody else amends it until the transaction ends."""
    _lock(connection, ours)
    keys: dict[str, list[str]] = defaultdict(list)
    for one in ours:
        keys[one.dataset].append(one.task_key)
    found: dict[tuple[str, str], Record] = {}
    for dataset, of_dataset in keys.items():
        for chunk in chunks(of_dataset):
            rows = connection.execute(_select(dataset).where(among(connection, _C.task_key, chunk)))
            found.update((_name(one), one) for one in map(_record, rows))
    return found


def _lock(connection: Connection, ours: Sequence[Record]) -> None:
    for dataset in sorted({one.dataset for one in ours}):
        one_at_a_time(connection, f"records {dataset}")


def _name(one: Record) -> tuple[str, str]:
    return one.dataset, one.task_key


def _row(one: Record) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "task_id": one.task_id,
        "task_number": task_order(one.task_id)[0],
        "bucket": one.ref.bucket,
        "key": one.ref.key,
        "task_key": one.task_key,
        "etag": one.etag,
        "version_id": one.version_id,
        "size": one.size,
        "serial": one.serial,
        "state": one.state,
        "parts": _PARTS.dump_json(one.parts).decode() if one.parts else None,
    }


def abandon(connection: Connection, marker: str) -> bool:
    """See `Records.abandon`; whether the intent was open."""
    return bool(connection.execute(delete(intents).where(intents.c.marker == marker)).rowcount)
