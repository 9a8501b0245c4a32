"""The state store on a SQL database: SQLite, one file for one daemon, or PostgreSQL, for many.

Opened by `service` (exclusively) and by commands of the CLI (beside a running daemon). Writes are durable when they
return; reads see what is committed. The event loop never waits for a disk.
Raises Retryable where the database is locked, full or cannot be reached, ConfigError where it is damaged or refuses
us, and Rejected for text that it cannot hold: no valid Unicode, and on PostgreSQL NUL.
"""

from collections.abc import AsyncIterator, Collection, Sequence

from sqlalchemy import Connection

from syncd.domain.model import (
    Claim,
    DeadLetter,
    ImportedAnswer,
    Intent,
    Mark,
    ObjectRef,
    Record,
    Settlement,
    StagedChange,
    Subject,
)
from syncd.ports import Backlog, KnownVersion, Lane
from syncd.state import (
    rules,
    sql_datasets,
    sql_imports,
    sql_lanes,
    sql_leases,
    sql_records,
    sql_staging,
    sql_subjects,
)
from syncd.state.bell import wait_for
from syncd.state.sql_deliveries import SqlDeliveries
from syncd.state.sql_quarantine import SqlQuarantine

_POLL = 1.0  # seconds after which a wait looks for marks of other processes


class SqlState(SqlDeliveries, SqlQuarantine):
    """A `StateStore` on SQL. Made by `open_state`."""

    # ------------------------------------------------------------ subjects

    async def mark(self, marks: Sequence[Mark]) -> None:
        """See `Subjects.mark`; marks of concurrent callers are merged into few statements."""
        await self._database.extend(self._mark, marks)
        self._bell.ring()

    def _mark(self, connection: Connection, marks: Sequence[Mark]) -> None:
        sql_subjects.mark(connection, marks, self._clock.now())

    async def claim(self, *, limit: int, lease: float, avoid: Collection[Lane] = ()) -> list[Claim]:
        """See `Subjects.claim`."""
        now = self._clock.now()
        return await self._write(sql_subjects.claim, limit, avoid, now, now + lease)

    async def renew(self, claims: Sequence[Claim], *, lease: float) -> int:
        """See `Subjects.renew`."""
        return await self._write(sql_subjects.renew, claims, self._clock.now() + lease)

    async def settle(self, settlements: Sequence[Settlement]) -> int:
        """See `Subjects.settle`."""
        lost = await self._write(sql_subjects.settle, settlements, self._clock.now())
        self._bell.ring()
        return lost

    async def wait(self, timeout: float) -> None:
        """See `Subjects.wait`; returns after a second at most: a mark of another process may not have been heard of."""
        ticket = self._bell.ticket()
        first = await self._read(sql_lanes.first_ready)
        until_due = _POLL if first is None else first - self._clock.now()
        await wait_for(ticket, self._clock, min(timeout, _POLL, until_due))

    async def backlog(self) -> list[Backlog]:
        """See `Subjects.backlog`."""
        return await self._read(sql_lanes.backlog, self._clock.now())

    async def dead_letters(self, dataset: str | None = None) -> list[DeadLetter]:
        """See `Subjects.dead_letters`."""
        return await self._read(sql_subjects.dead_letters, dataset)

    async def revive(self, subjects: Sequence[Subject]) -> int:
        """See `Subjects.revive`."""
        revived = await self._write(sql_subjects.revive, subjects, self._clock.now())
        self._bell.ring()
        return revived

    async def drop(self, subjects: Sequence[Subject]) -> int:
        """See `Subjects.drop`."""
        return await self._write(sql_subjects.drop, subjects)

    async def prune_gone(self, before: float) -> int:
        """See `Subjects.prune_gone`."""
        return await self._write(sql_subjects.prune_gone, before)

    # ------------------------------------------------------------ records

    async def records(self, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[Record]]:
        """See `Records.records`."""
        return await self._read(sql_records.of_objects, dataset, refs)

    async def by_task(self, dataset: str, task_ids: Sequence[str]) -> dict[str, list[Record]]:
        """See `Records.by_task`."""
        return await self._read(sql_records.by_task, dataset, task_ids)

    async def task_keys(self, dataset: str, keys: Sequence[str]) -> set[str]:
        """See `Records.task_keys`."""
        return await self._read(sql_records.task_keys, dataset, keys)

    async def walk(self, dataset: str, bucket: str, *, after: str = "") -> AsyncIterator[Sequence[Record]]:
        """See `Records.walk`; each page is read when it is asked for."""
        while page := await self._read(sql_records.object_page, dataset, bucket, after):
            yield page
            after = page[-1].ref.key

    async def walk_versions(
        self, dataset: str, bucket: str, *, after: str = "", upto: str | None = None
    ) -> AsyncIterator[Sequence[KnownVersion]]:
        """See `Records.walk_versions`; each page is read when it is asked for."""
        while page := await self._read(sql_records.version_page, dataset, bucket, after, upto):
            yield page
            after = page[-1][0]
            if after == upto:
                return

    async def walk_tasks(self, dataset: str) -> AsyncIterator[Sequence[Record]]:
        """See `Records.walk_tasks`; each page is read when it is asked for."""
        after = (-1, "", "")
        while page := await self._read(sql_records.task_page, dataset, after):
            yield page
            after = (*rules.task_order(page[-1].task_id), page[-1].task_key)

    async def intend(self, intent: Intent, *, held: Sequence[Claim] = ()) -> None:
        """See `Records.intend`."""
        await self._write(sql_records.intend, intent, held)

    async def intents(self, dataset: str) -> list[Intent]:
        """See `Records.intents`."""
        return await self._read(sql_records.of_dataset, dataset)

    async def record(self, records: Sequence[Record]) -> None:
        """See `Records.record`."""
        await self._write(sql_records.record, records)

    async def fulfil(
        self, marker: str | None, records: Sequence[Record], *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """See `Records.fulfil`."""
        return await self._write(sql_records.fulfil, marker, records, held)

    async def amend(
        self, changes: Sequence[tuple[Record, Record]], marks: Sequence[Mark] = (), *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """See `Records.amend`."""
        amended = await self._write(sql_records.amend, changes, marks, held, self._clock.now())
        self._bell.ring()
        return amended

    async def abandon(self, marker: str) -> None:
        """See `Records.abandon`."""
        await self._write(sql_records.abandon, marker)

    # ------------------------------------------------------------ staging

    async def known(self, dataset: str, task_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """See `Staging.known`; the digest of a deletion that waits is empty."""
        return await self._read(sql_staging.of_tasks, dataset, task_ids)

    async def tasks_of(self, dataset: str, annotation_ids: Sequence[str]) -> list[str]:
        """See `Staging.tasks_of`; each task once, in order of its id."""
        return await self._read(sql_staging.tasks_of, dataset, annotation_ids)

    async def stage(
        self, dataset: str, changes: Sequence[StagedChange], *, held: Sequence[Claim] | None = None
    ) -> None:
        """See `Staging.stage`; what waits already keeps its `seq`."""
        await self._write(sql_staging.stage, dataset, changes, held)

    async def staged(self, dataset: str, *, limit: int) -> list[StagedChange]:
        """See `Staging.staged`."""
        return await self._read(sql_staging.in_order, dataset, limit)

    async def staged_count(self, dataset: str) -> int:
        """See `Staging.staged_count`."""
        return await self._read(sql_staging.count, dataset)

    async def committed(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """See `Staging.committed`; a committed deletion is no longer known."""
        await self._write(sql_staging.committed, dataset, changes)

    # ------------------------------------------------------------ imports

    async def want(self, dataset: str, answers: Sequence[ImportedAnswer]) -> int:
        """See `Imports.want`."""
        return await self._write(sql_imports.want, dataset, answers)

    async def wanted(self, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[ImportedAnswer]]:
        """See `Imports.wanted`."""
        return await self._read(sql_imports.wanted, dataset, refs)

    async def given(self, dataset: str, answers: Sequence[ImportedAnswer]) -> None:
        """See `Imports.given`."""
        await self._write(sql_imports.given, dataset, answers)

    async def wanted_count(self, dataset: str) -> int:
        """See `Imports.wanted_count`."""
        return await self._read(sql_imports.wanted_count, dataset)

    async def text(self, dataset: str, ref: ObjectRef) -> str | None:
        """See `Imports.text`."""
        return await self._read(sql_imports.text, dataset, ref)

    # ------------------------------------------------------------ cursors and life

    async def get(self, name: str) -> str | None:
        """See `Cursors.get`."""
        return await self._read(sql_staging.get, name)

    async def put(self, name: str, value: str) -> None:
        """See `Cursors.put`."""
        await self._write(sql_staging.put, name, value)

    async def put_once(self, name: str, value: str) -> str:
        """See `Cursors.put_once`."""
        return await self._write(sql_staging.put_once, name, value)

    async def hold(self, name: str, *, holder: str, seconds: float) -> bool:
        """See `Leases.hold`."""
        now = self._clock.now()
        return await self._write(sql_leases.hold, name, holder, now, now + seconds)

    async def holders(self, prefix: str) -> dict[str, str]:
        """See `Leases.holders`."""
        return await self._read(sql_leases.holders, prefix, self._clock.now())

    async def release(self, name: str, *, holder: str) -> None:
        """See `Leases.release`."""
        await self._write(sql_leases.release, name, holder)

    async def forget(self, dataset: str) -> None:
        """See `StateStore.forget`."""
        await self._write(sql_datasets.forget, dataset)

    async def close(self) -> None:
        """See `StateStore.close`."""
        await self._bell.close()
        await self._database.close()
