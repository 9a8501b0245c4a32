"""The state store on a SQL database: SQLite now, one file in WAL mode.

Opened by `service` (exclusively) and by commands of the CLI (beside a running daemon). Writes go through the
one `Writer` and are durable when they return; reads have their own connections and see what is committed.
Both run in threads: the event loop never waits for the disk.
Raises Retryable where the database is locked, full or unreadable, ConfigError where it is damaged, and
Rejected for text that is no valid Unicode.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Connection, Engine

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
from syncd.ports import Backlog, Clock, KnownVersion, Lane
from syncd.state import lock, rules, sql_datasets, sql_imports, sql_records, sql_staging, sql_subjects
from syncd.state.bell import wait_for
from syncd.state.database import WRITING, create_file, failures_named, open_engine, state_file
from syncd.state.migrations import migrate
from syncd.state.sql_deliveries import SqlDeliveries
from syncd.state.sql_quarantine import SqlQuarantine
from syncd.state.writer import Writer

_POLL = 1.0  # seconds after which a wait looks for marks of other processes


async def open_state(place: str | Path, clock: Clock, *, exclusive: bool = True) -> "SqlState":
    """Open the database at a path or URL, make it where there is none, and bring it to the newest shape.

    `exclusive` is for the daemon: it holds the file against a second one, ends the claims of a dead one, and makes
    due what would wait for more than a day: the clock was set back meanwhile.
    Without it one reads and makes small writes beside a running daemon. ConfigError: the file is held by
    another daemon, is damaged, cannot be made, or is of a newer program.
    """
    path = state_file(place)
    engine, connection, life = await asyncio.to_thread(_open, path, exclusive, clock.now())
    return SqlState(engine, Writer(connection, path), clock, path, life)


def _open(path: Path, exclusive: bool, now: float) -> tuple[Engine, Connection, ExitStack]:
    """The engine, the connection of its writer, and what releases both."""
    with ExitStack() as stack, failures_named(path):
        if exclusive:
            stack.callback(os.close, lock.take(path))
        create_file(path)
        engine = open_engine(path)
        stack.callback(engine.dispose)
        connection = stack.enter_context(engine.connect()).execution_options(**WRITING)
        with connection.begin():
            _prepare(connection, exclusive, now)
        return engine, connection, stack.pop_all()


def holder_of(place: str | Path) -> int | None:
    """The process that holds the database exclusively; None where nobody does."""
    return lock.holder_of(state_file(place))


def _prepare(connection: Connection, exclusive: bool, now: float) -> None:
    migrate(connection)
    if exclusive:
        sql_subjects.start(connection, now)


class SqlState(SqlDeliveries, SqlQuarantine):
    """A `StateStore` on SQL. Made by `open_state`."""

    def __init__(self, engine: Engine, writer: Writer, clock: Clock, path: Path, life: ExitStack) -> None:
        super().__init__(engine, writer, path, life)
        self._clock = clock

    # ------------------------------------------------------------ subjects

    async def mark(self, marks: Sequence[Mark]) -> None:
        """See `Subjects.mark`; marks of concurrent callers are merged into few statements."""
        await self._writer.extend(self._mark, marks)
        self._bell.ring()

    def _mark(self, connection: Connection, marks: Sequence[Mark]) -> None:
        sql_subjects.mark(connection, marks, self._clock.now())

    async def claim(self, *, limit: int, lease: float, avoid: Collection[Lane] = ()) -> list[Claim]:
        """See `Subjects.claim`."""
        now = self._clock.now()
        return await self._write(sql_subjects.claim, limit, avoid, now, now + lease)

    async def renew(self, claims: Sequence[Claim], *, lease: float) -> None:
        """See `Subjects.renew`."""
        await self._write(sql_subjects.renew, claims, self._clock.now() + lease)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """See `Subjects.settle`."""
        await self._write(sql_subjects.settle, settlements, self._clock.now())
        self._bell.ring()

    async def wait(self, timeout: float) -> None:
        """See `Subjects.wait`; returns after a second at most, to look for marks of other processes."""
        ticket = self._bell.ticket()
        first = await self._read(sql_subjects.first_ready)
        until_due = _POLL if first is None else first - self._clock.now()
        await wait_for(ticket, self._clock, min(timeout, _POLL, until_due))

    async def backlog(self) -> list[Backlog]:
        """See `Subjects.backlog`."""
        return await self._read(sql_subjects.backlog, self._clock.now())

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

    async def walk_tasks(self, dataset: str) -> AsyncIterator[Sequence[Record]]:
        """See `Records.walk_tasks`; each page is read when it is asked for."""
        after = (-1, "", "")
        while page := await self._read(sql_records.task_page, dataset, after):
            yield page
            after = (*rules.task_order(page[-1].task_id), page[-1].task_key)

    async def intend(self, intent: Intent) -> None:
        """See `Records.intend`."""
        await self._write(sql_records.intend, intent)

    async def intents(self, dataset: str) -> list[Intent]:
        """See `Records.intents`."""
        return await self._read(sql_records.of_dataset, dataset)

    async def record(self, records: Sequence[Record], *, fulfils: str | None = None) -> None:
        """See `Records.record`."""
        await self._write(sql_records.record, records, fulfils)

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

    async def stage(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """See `Staging.stage`; what waits already keeps its `seq`."""
        await self._write(sql_staging.stage, dataset, changes)

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

    async def forget(self, dataset: str) -> None:
        """See `StateStore.forget`."""
        await self._write(sql_datasets.forget, dataset)

    async def close(self) -> None:
        """See `StateStore.close`."""
        await self._writer.close()
        await asyncio.to_thread(self._life.close)
