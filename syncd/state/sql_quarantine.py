"""Bad events on SQL: the statements, and the role of `SqlState` that runs them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, func, select

from syncd.domain.notifications import BadEvent
from syncd.ports import QUARANTINE_KEPT, Quarantined
from syncd.state import rules
from syncd.state.access import Access
from syncd.state.database import among, chunks, one_at_a_time, upsert
from syncd.state.schema import quarantine

_C = quarantine.c
_ENTRY = (_C.id, _C.source, _C.reason, _C.detail, _C.excerpt, _C.count, _C.first_at, _C.last_at)
_NEWEST_FIRST = (_C.last_at.desc(), _C.n.desc())


class SqlQuarantine(Access):
    """See `ports.Quarantine`."""

    async def quarantine(self, source: str, bad: Sequence[BadEvent]) -> None:
        """See `Quarantine.quarantine`."""
        await self._write(keep, source, bad, self._clock.now())

    async def quarantined(self, source: str | None = None, limit: int = 100) -> list[Quarantined]:
        """See `Quarantine.quarantined`; of those that came last at one time, the one first seen last comes first."""
        return await self._read(listed, source, limit)

    async def quarantine_counts(self) -> dict[str, int]:
        """See `Quarantine.quarantine_counts`."""
        return await self._read(counts)

    async def drop_quarantined(self, ids: Sequence[str]) -> int:
        """See `Quarantine.drop_quarantined`."""
        return await self._write(drop, ids)


def keep(connection: Connection, source: str, bad: Sequence[BadEvent], now: float) -> None:
    """See `Quarantine.quarantine`."""
    one_at_a_time(connection, f"quarantine {source}")
    known: dict[str, Quarantined] = {}
    for chunk in chunks(list({rules.quarantine_id(source, event) for event in bad})):
        found = connection.execute(select(*_ENTRY).where(among(connection, _C.id, chunk)))
        known.update((entry.id, entry) for entry in map(_entry, found))
    written = rules.quarantined(known, source, bad, now)
    upsert(connection, quarantine, ("id",), [asdict(entry) for entry in written])
    _forget_oldest(connection, source)


def _forget_oldest(connection: Connection, source: str) -> None:
    ours = select(_C.n).where(_C.source == source).order_by(*_NEWEST_FIRST)
    for chunk in chunks(connection.execute(ours.offset(QUARANTINE_KEPT)).scalars().all()):
        connection.execute(delete(quarantine).where(among(connection, _C.n, chunk)))


def listed(connection: Connection, source: str | None, limit: int) -> list[Quarantined]:
    """See `Quarantine.quarantined`."""
    chosen = select(*_ENTRY).order_by(*_NEWEST_FIRST).limit(limit)
    if source is not None:
        chosen = chosen.where(_C.source == source)
    return [_entry(row) for row in connection.execute(chosen)]


def counts(connection: Connection) -> dict[str, int]:
    """See `Quarantine.quarantine_counts`."""
    grouped = select(_C.source, func.count()).group_by(_C.source).order_by(_C.source)
    return {row.source: row[1] for row in connection.execute(grouped)}


def drop(connection: Connection, ids: Sequence[str]) -> int:
    """See `Quarantine.drop_quarantined`."""
    chosen = chunks(list(dict.fromkeys(ids)))
    return sum(
        connection.execute(delete(quarantine).where(among(connection, _C.id, chunk))).rowcount for chunk in chosen
    )


def _entry(row: Sequence[Any]) -> Quarantined:
    return Quarantined(*row)
