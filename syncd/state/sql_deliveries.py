"""Deliveries on SQL: the statements, and the role of `SqlState` that runs them.

A delivery's status is not stored but read from its subject, so that the two never disagree.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, Select, and_, case, delete, select, update

from syncd.domain.deliveries import Attempt, Delivery, Status, Verdict
from syncd.domain.model import Kind, Mark
from syncd.state import rules, sql_staging, sql_subjects
from syncd.state.access import Access
from syncd.state.database import among, chunks, one_at_a_time, upsert
from syncd.state.schema import deliveries, subjects

_ATTEMPTS: TypeAdapter[tuple[Attempt, ...]] = TypeAdapter(tuple[Attempt, ...])
_D, _S = deliveries.c, subjects.c
_OWN = and_(_S.kind == Kind.DELIVERY, _S.dataset == _D.dataset + "/" + _D.trigger, _S.id == _D.id)
_standing = case(
    (and_(_S.n.is_not(None), _S.dead_at.is_(None)), Status.WAITING),
    (_S.dead_at.is_not(None), Status.FAILED),
    (_D.passed_over.is_not(None), Status.PASSED_OVER),
    (_D.verdict == Verdict.DELIVERED, Status.DELIVERED),
    else_=Status.FAILED,
)
_LOCK = "deliveries"
_COLUMNS = (_D.id, _D.dataset, _D.trigger, _D.event, _D.created_at, _D.attempts, _D.passed_over)


class SqlDeliveries(Access):
    """See `ports.Deliveries`."""

    async def announce(self, deliveries: Sequence[Delivery], *, cursor: str, value: str) -> list[str]:
        """See `Deliveries.announce`."""
        marked = await self._write(announce, deliveries, cursor, value, self._clock.now())
        self._bell.ring()
        return marked

    async def delivery(self, id_: str) -> Delivery | None:
        """See `Deliveries.delivery`."""
        return next(iter(await self._read(of_ids, [id_])), None)

    async def deliveries(
        self, *, dataset: str | None = None, status: Status | None = None, limit: int = 100
    ) -> list[Delivery]:
        """See `Deliveries.deliveries`; those made at one time come in the order of their writing, last first."""
        return await self._read(listed, dataset, status, limit)

    async def attempted(self, id_: str, attempt: Attempt) -> None:
        """See `Deliveries.attempted`; nothing where it was forgotten meanwhile."""
        await self._write(attempted, id_, attempt)

    async def redeliver(self, ids: Sequence[str]) -> int:
        """See `Deliveries.redeliver`."""
        found = await self._write(redeliver, ids, self._clock.now())
        self._bell.ring()
        return found

    async def prune_deliveries(self, before: float) -> int:
        """See `Deliveries.prune_deliveries`."""
        return await self._write(prune, before)


def announce(connection: Connection, made: Sequence[Delivery], cursor: str, value: str, now: float) -> list[str]:
    """See `Deliveries.announce`."""
    one_at_a_time(connection, _LOCK)
    known = {delivery.id: delivery for delivery in of_ids(connection, [delivery.id for delivery in made])}
    written = rules.announced(known, made)
    upsert(connection, deliveries, ("id",), [_row(delivery) for delivery in written])
    sql_staging.put(connection, cursor, value)
    due = [delivery for delivery in written if delivery.passed_over is None]
    sql_subjects.mark(connection, [Mark(delivery.subject) for delivery in due], now)
    return [delivery.id for delivery in due]


def of_ids(connection: Connection, ids: Sequence[str]) -> list[Delivery]:
    """Those of these deliveries that there are."""
    found: list[Delivery] = []
    for chunk in chunks(list(dict.fromkeys(ids))):
        found += map(_delivery, connection.execute(_reading().where(among(connection, _D.id, chunk)).order_by(_D.n)))
    return found


def listed(connection: Connection, dataset: str | None, status: Status | None, limit: int) -> list[Delivery]:
    """See `Deliveries.deliveries`."""
    chosen = _reading().order_by(_D.created_at.desc(), _D.n.desc()).limit(limit)
    if dataset is not None:
        chosen = chosen.where(_D.dataset == dataset)
    if status is not None:
        chosen = chosen.where(_standing == status.value)
    return [_delivery(row) for row in connection.execute(chosen)]


def attempted(connection: Connection, id_: str, attempt: Attempt) -> None:
    """See `Deliveries.attempted`."""
    one_at_a_time(connection, _LOCK)
    for delivery in of_ids(connection, [id_]):
        log = _log(rules.attempted(delivery, attempt))
        connection.execute(update(deliveries).where(_D.id == id_).values(**log))


def redeliver(connection: Connection, ids: Sequence[str], now: float) -> int:
    """See `Deliveries.redeliver`."""
    one_at_a_time(connection, _LOCK)
    found = of_ids(connection, ids)
    upsert(connection, deliveries, ("id",), [_row(rules.redelivered(delivery)) for delivery in found])
    sql_subjects.mark(connection, [Mark(delivery.subject) for delivery in found], now)
    return len(found)


def prune(connection: Connection, before: float) -> int:
    """See `Deliveries.prune_deliveries`."""
    one_at_a_time(connection, _LOCK)
    old = _reading().where(_D.created_at < before, _standing != Status.WAITING)
    found = [_delivery(row) for row in connection.execute(old)]
    for chunk in chunks([delivery.id for delivery in found]):
        connection.execute(delete(deliveries).where(among(connection, _D.id, chunk)))
    sql_subjects.discard(connection, [delivery.subject for delivery in found])
    return len(found)


def _reading() -> Select[Any]:
    return select(*_COLUMNS, _S.due_at, _S.dead_at).select_from(deliveries.outerjoin(subjects, _OWN))


def _delivery(row: Sequence[Any]) -> Delivery:
    id_, dataset, trigger, event, created_at, attempts, passed_over, due_at, dead_at = row
    log = _ATTEMPTS.validate_json(attempts)
    stored = Delivery(id_, dataset, trigger, orjson.loads(event), created_at, log, passed_over)
    return rules.shown(stored, due_at, dead_at is not None)


def _row(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "dataset": delivery.dataset,
        "trigger": delivery.trigger,
        "event": orjson.dumps(delivery.event).decode(),
        "created_at": delivery.created_at,
        "passed_over": delivery.passed_over,
        **_log(delivery),
    }


def _log(delivery: Delivery) -> dict[str, Any]:
    return {
        "attempts": _ATTEMPTS.dump_json(delivery.attempts).decode(),
        "verdict": delivery.attempts[-1].verdict if delivery.attempts else None,
    }
