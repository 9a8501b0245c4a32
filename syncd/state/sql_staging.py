"""Statements of staged rows, known annotations and cursors. Used by `sql` only; each is one step of a transaction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from syncd.domain.model import Claim, Row, StagedChange
from syncd.state import rules, sql_subjects
from syncd.state.database import add, among, chunks, one_at_a_time, shared, upsert
from syncd.state.schema import cursors, known, staged

_ROW: TypeAdapter[Row] = TypeAdapter(Row)


def of_tasks(connection: Connection, dataset: str, task_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """See `Staging.known`; the digest of a deletion that waits is empty."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    columns = (known.c.task_id, known.c.annotation_id, known.c.digest)
    for chunk in chunks(list(set(task_ids))):
        ours = select(*columns).where(known.c.dataset == dataset, among(connection, known.c.task_id, chunk))
        for task_id, annotation_id, digest in connection.execute(ours):
            found[task_id][annotation_id] = digest
    return dict(found)


def tasks_of(connection: Connection, dataset: str, annotation_ids: Sequence[str]) -> list[str]:
    """See `Staging.tasks_of`; each task once, in order of its id."""
    found: set[str] = set()
    for chunk in chunks(annotation_ids):
        these = among(connection, known.c.annotation_id, chunk)
        ours = select(known.c.task_id).where(known.c.dataset == dataset, these)
        found.update(connection.execute(ours).scalars())
    return sorted(found, key=rules.task_order)


def stage(
    connection: Connection, dataset: str, changes: Sequence[StagedChange], held: Sequence[Claim] | None = None
) -> None:
    """See `Staging.stage`; what waits already keeps its `seq`."""
    if held is not None:
        ours = {claim.subject.id for claim in sql_subjects.held(connection, held)}
        changes = [change for change in changes if change.task_id in ours]
    one_at_a_time(connection, f"staging {dataset}")
    newest = rules.newest(changes)
    texts = {change.annotation_id: _text(change.row) for change in newest}
    waiting = _waiting(connection, dataset, list(texts))
    fresh = [c for c in newest if waiting.get(c.annotation_id) != (c.task_id, texts[c.annotation_id])]
    _replace(connection, dataset, fresh, texts)
    by_annotation = [
        {
            "dataset": dataset,
            "annotation_id": change.annotation_id,
            "task_id": change.task_id,
            "digest": change.row.digest if change.row else "",
        }
        for change in newest
    ]
    upsert(connection, known, ("dataset", "annotation_id"), by_annotation)


def _text(row: Row | None) -> str | None:
    return None if row is None else _ROW.dump_json(row).decode()


def _waiting(connection: Connection, dataset: str, annotation_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    found: dict[str, tuple[str, str | None]] = {}
    columns = (staged.c.annotation_id, staged.c.task_id, staged.c.row)
    for chunk in chunks(annotation_ids):
        ours = select(*columns).where(staged.c.dataset == dataset, among(connection, staged.c.annotation_id, chunk))
        found.update((annotation, (task, row)) for annotation, task, row in connection.execute(ours))
    return found


def _replace(
    connection: Connection, dataset: str, changes: Sequence[StagedChange], texts: dict[str, str | None]
) -> None:
    """Taken out and put in again, each change gets a new `seq`."""
    for chunk in chunks([change.annotation_id for change in changes]):
        ours = (staged.c.dataset == dataset, among(connection, staged.c.annotation_id, chunk))
        connection.execute(delete(staged).where(*ours))
    rows = [
        {"dataset": dataset, "annotation_id": c.annotation_id, "task_id": c.task_id, "row": texts[c.annotation_id]}
        for c in changes
    ]
    add(connection, staged, rows)


def in_order(connection: Connection, dataset: str, limit: int) -> list[StagedChange]:
    """See `Staging.staged`."""
    columns = (staged.c.annotation_id, staged.c.task_id, staged.c.row, staged.c.seq)
    ours = select(*columns).where(staged.c.dataset == dataset).order_by(staged.c.seq).limit(limit)
    return [
        StagedChange(annotation, task, None if row is None else _ROW.validate_json(row), seq)
        for annotation, task, row, seq in connection.execute(ours)
    ]


def count(connection: Connection, dataset: str) -> int:
    """See `Staging.staged_count`."""
    return connection.execute(select(func.count()).where(staged.c.dataset == dataset)).scalar_one()


def committed(connection: Connection, dataset: str, changes: Sequence[StagedChange]) -> None:
    """See `Staging.committed`; a committed deletion is no longer known."""
    one_at_a_time(connection, f"staging {dataset}")
    for chunk in chunks(changes):
        ours = (staged.c.dataset == dataset, among(connection, staged.c.seq, [change.seq for change in chunk]))
        gone = connection.execute(select(staged.c.annotation_id).where(*ours, staged.c.row.is_(None))).scalars()
        forgotten = (known.c.dataset == dataset, among(connection, known.c.annotation_id, gone.all()))
        connection.execute(delete(known).where(*forgotten))
        if connection.execute(delete(staged).where(*ours)).rowcount < len(chunk):
            stage(connection, dataset, _forgotten(connection, dataset, chunk))


def _forgotten(connection: Connection, dataset: str, changes: Sequence[StagedChange]) -> list[StagedChange]:
    """As deletions, the rows that came into a version after their annotation was deleted and forgotten."""
    rows = [change for change in changes if change.row]
    ids = among(connection, known.c.annotation_id, [change.annotation_id for change in rows])
    there = set(connection.execute(select(known.c.annotation_id).where(known.c.dataset == dataset, ids)).scalars())
    return [replace(change, row=None) for change in rows if change.annotation_id not in there]


def get(connection: Connection, name: str) -> str | None:
    """See `Cursors.get`."""
    return connection.execute(select(cursors.c.value).where(cursors.c.name == name)).scalar()


def put(connection: Connection, name: str, value: str) -> None:
    """See `Cursors.put`."""
    upsert(connection, cursors, ("name",), [{"name": name, "value": value}])


def put_once(connection: Connection, name: str, value: str) -> str:
    """See `Cursors.put_once`. On PostgreSQL, who comes second waits for the first one's commit."""
    insert = postgresql.insert if shared(connection) else sqlite.insert
    wanted = insert(cursors).values(name=name, value=value)
    connection.execute(wanted.on_conflict_do_nothing(index_elements=("name",)))
    return str(get(connection, name))
