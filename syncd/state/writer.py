"""Grouped commits: write operations queue up, and each group of them shares one transaction.

A commit costs one fsync however much is in it, so while one group commits the next one gathers, and many
callers pay for one. Nobody is answered before the commit. Used by the databases, which say how a transaction runs.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from syncd.domain.errors import ConfigError, Retryable

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")
_Works = Callable[[Connection, Sequence[_Item]], None]
_GROUP = 512  # operations of one commit


class Commit(Protocol):
    """How a transaction runs: what `work` returns, once that is durable."""

    def __call__(self, work: Callable[[Connection], Any]) -> asyncio.Future[Any]:
        """Run `work` in a transaction."""
        ...


@dataclass(frozen=True, slots=True)
class _Write:
    """A queued operation. Those with items are merged with all others of the same `work` in their group."""

    work: Callable[..., Any]
    items: Sequence[Any] | None
    done: asyncio.Future[Any]


class Writer:
    """Runs write operations in groups, one group at a time. An operation is a plain function of the connection.

    It has no task of its own: each turn of the event loop that a lone operation waits for is a part of its time.
    """

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._queue: deque[_Write] = deque()
        self._alone: deque[_Write] = deque()
        self._busy = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, work: Callable[[Connection], _Result]) -> _Result:
        """The result of `work` once it is durable; what it raises. A cancelled caller disturbs nobody else."""
        return await self._enqueue(work, None)  # type: ignore[no-any-return]

    async def extend(self, work: "_Works[_Item]", items: Sequence[_Item]) -> None:
        """As `run`, but `work` is called once with the items of all callers of a group, before all others."""
        await self._enqueue(work, items)

    def _enqueue(self, work: Callable[..., Any], items: Sequence[Any] | None) -> asyncio.Future[Any]:
        if self._closing:
            raise RuntimeError("the state store is closed")
        loop = asyncio.get_running_loop()
        write = _Write(work, items, loop.create_future())
        self._queue.append(write)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            loop.call_soon(self._next)  # so that those who come in the same turn share the commit
        return write.done

    async def close(self) -> None:
        """Finish what is queued, and end."""
        self._closing = True
        await self._idle.wait()

    def _next(self) -> None:
        group = self._group()
        if group:
            self._commit(partial(_run_group, group=group)).add_done_callback(partial(self._answer, group))
        else:
            self._busy = False
            self._idle.set()

    def _group(self) -> list[_Write]:
        """Those of the next commit whose callers still wait."""
        waiting, most = (self._alone, 1) if self._alone else (self._queue, _GROUP)
        group: list[_Write] = []
        while waiting and len(group) < most:
            write = waiting.popleft()
            if not write.done.done():
                group.append(write)
        return group or (self._group() if self._queue else [])

    def _answer(self, group: list[_Write], commit: asyncio.Future[Any]) -> None:
        """Answer every operation of the group. If one raised, each is tried alone, so that only the guilty fails."""
        error = asyncio.CancelledError() if commit.cancelled() else commit.exception()
        if error is None:
            _succeed(group, commit.result())
        elif len(group) > 1 and not isinstance(error, (Retryable, ConfigError)):
            self._alone.extend(group)
        else:  # the database's own failure: alone they would fare no better
            _fail(group, error)
        self._next()


def _run_group(connection: Connection, group: list[_Write]) -> list[Any]:
    """What the operations return."""
    merged: dict[Callable[..., Any], list[Sequence[Any]]] = defaultdict(list)
    for write in group:
        if write.items is not None:
            merged[write.work].append(write.items)
    for work, items in merged.items():
        work(connection, list(chain.from_iterable(items)))
    return [write.work(connection) if write.items is None else None for write in group]


def _succeed(group: list[_Write], results: list[Any]) -> None:
    for write, result in zip(group, results, strict=True):
        if not write.done.done():  # its caller may have been cancelled meanwhile
            write.done.set_result(result)


def _fail(group: list[_Write], error: BaseException) -> None:
    for write in group:
        if not write.done.done():
            write.done.set_exception(error)
