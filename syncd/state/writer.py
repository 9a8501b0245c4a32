"""Grouped commits: write operations queue up, and each group of them shares one transaction.

A commit costs one fsync however much is in it, so while one group commits the next one gathers, and many
callers pay for one. Nobody is answered before the commit. Used by the databases, which say how a transaction runs.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from syncd.domain.errors import ConfigError, Retryable

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")
_Works = Callable[[Connection, Sequence[_Item]], None]
_GROUP = 512  # operations of one commit


class Commit(Protocol):
    """How a transaction runs: returns what `work` returns once that is durable."""

    async def __call__(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run `work` in a transaction."""
        ...


@dataclass(frozen=True, slots=True)
class _Write:
    """A queued operation. Those with items are merged with all others of the same `work` in their group."""

    work: Callable[..., Any]
    items: Sequence[Any] | None
    done: asyncio.Future[Any]


class Writer:
    """Runs write operations in groups, one group at a time. An operation is a plain function of the connection."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._queue: list[_Write] = []
        self._queued = asyncio.Event()
        self._closing = False
        self._job = asyncio.create_task(self._run(), name="state-writer")

    async def run(self, work: Callable[[Connection], _Result]) -> _Result:
        """The result of `work` once it is durable; what it raises. A cancelled caller disturbs nobody else."""
        return await self._enqueue(work, None)  # type: ignore[no-any-return]

    async def extend(self, work: "_Works[_Item]", items: Sequence[_Item]) -> None:
        """As `run`, but `work` is called once with the items of all callers of a group, before all others."""
        await self._enqueue(work, items)

    def _enqueue(self, work: Callable[..., Any], items: Sequence[Any] | None) -> asyncio.Future[Any]:
        if self._closing:
            raise RuntimeError("the state store is closed")
        write = _Write(work, items, asyncio.get_running_loop().create_future())
        self._queue.append(write)
        self._queued.set()
        return write.done

    async def close(self) -> None:
        """Finish what is queued, and end."""
        self._closing = True
        self._queued.set()
        await self._job

    async def _run(self) -> None:
        while self._queue or not self._closing:
            await self._queued.wait()
            group, self._queue = self._queue[:_GROUP], self._queue[_GROUP:]
            if not self._queue and not self._closing:
                self._queued.clear()
            await self._answer_all([write for write in group if not write.done.done()])

    async def _answer_all(self, group: list[_Write]) -> None:
        """Answer every operation of the group. If one raises, each is tried alone, so that only the guilty fails."""
        try:
            results = await self._commit(lambda connection: _run_group(connection, group))
        except (Retryable, ConfigError) as error:  # the database's failure: alone they would fare no better
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            await self._one_by_one(group, error)
        else:
            _answer(group, results)

    async def _one_by_one(self, group: list[_Write], error: Exception) -> None:
        if len(group) == 1:
            _fail(group, error)
            return
        for write in group:
            await self._answer_all([write])


def _run_group(connection: Connection, group: list[_Write]) -> list[Any]:
    """What the operations return."""
    merged: dict[Callable[..., Any], list[Sequence[Any]]] = defaultdict(list)
    for write in group:
        if write.items is not None:
            merged[write.work].append(write.items)
    for work, items in merged.items():
        work(connection, list(chain.from_iterable(items)))
    return [write.work(connection) if write.items is None else None for write in group]


def _answer(group: list[_Write], results: list[Any]) -> None:
    for write, result in zip(group, results, strict=True):
        if not write.done.done():  # its caller may have been cancelled meanwhile
            write.done.set_result(result)


def _fail(group: list[_Write], error: Exception) -> None:
    for write in group:
        if not write.done.done():
            write.done.set_exception(error)
