"""Adapters behind a watch: what they are asked is timed, counted and traced here, and nowhere else.

`service` puts one around each adapter it opens. What goes through is unchanged, but for two things: an expected error
learns through which port it came (`SyncdError.adapter`), and marks are given the trace they belong to. Bounded in
memory: what is not remembered is not counted, or from the annotator's own time.
"""

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from syncd.domain.errors import SyncdError
from syncd.domain.model import Claim, Kind, Mark, Record, Settlement, StagedChange, Subject, VersionInfo
from syncd.ports import Annotator, AnnotatorDataset, Clock, DatasetSpec, ObjectStore, SnapshotStore, StateStore
from syncd.runtime.metrics import ANNOTATION_TO_SNAPSHOT, CALLS, EVENT_TO_TASK, TASKS, count_version, dataset_label
from syncd.runtime.tracing import tracer

_NO_CALLS = frozenset({"wait", "close"})
"""What takes long because nothing is to be done."""
_REMEMBERED = 20_000
"""Subjects under claim, and staged annotations, whose beginning is remembered: a version's worth."""


class _Observed:
    """Any adapter. Its public coroutines and async generators are watched; all else is handed through."""

    def __init__(self, adapter: str, inner: Any) -> None:
        self._adapter = adapter
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name.startswith("_") or name in _NO_CALLS or not callable(found):
            return found
        watched: Any = found
        if inspect.iscoroutinefunction(found):
            watched = self._call(name, found)
        elif inspect.isasyncgenfunction(found):
            watched = self._pages(name, found)
        if watched is not found or inspect.ismethod(found):  # attributes may change, methods do not
            self.__dict__[name] = watched
        return watched

    def _call(self, name: str, inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._watching(name):
                return await inner(*args, **kwargs)

        return call

    def _pages(self, name: str, inner: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def pages(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async with aclosing(inner(*args, **kwargs)) as source:  # type: ignore[type-var] # a generator: asked above
                while True:
                    with self._watching(name):
                        page = await anext(source, None)
                    if page is None:
                        return
                    yield page

        return pages

    def _watching(self, operation: str) -> "_Watch":
        return _Watch(self._adapter, operation)


class _Watch:
    """One call. A class, and no generator, for every event that comes in passes through some of these."""

    __slots__ = ("_adapter", "_operation", "_span", "_started")

    def __init__(self, adapter: str, operation: str) -> None:
        self._adapter, self._operation = adapter, operation
        self._span = tracer().call(adapter, operation) if tracer().writes else None

    def __enter__(self) -> None:
        if self._span:
            self._span.__enter__()
        self._started = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: Any) -> None:
        seconds, outcome = time.perf_counter() - self._started, "ok"
        if isinstance(error, SyncdError):
            error.adapter = error.adapter or self._adapter
            outcome = error.verdict
        elif error is not None:
            outcome = "ended"  # by cancelling, or a bug
        CALLS.labels(self._adapter, self._operation, outcome).observe(seconds)
        if self._span:
            self._span.__exit__(kind, error, where)


class _State(_Observed):
    """The state store: it sees a subject from its mark to its record, so it measures the way in between."""

    def __init__(self, inner: StateStore, clock: Clock) -> None:
        super().__init__("state", inner)
        self._clock = clock
        self._claimed: dict[Subject, float] = {}
        self._staged: dict[tuple[str, str], float] = {}

    async def mark(self, marks: Sequence[Mark]) -> None:
        """As the port says; each mark in the trace of what told us."""
        traced = _traced(marks)
        with self._watching("mark"):
            await self._inner.mark(traced)

    async def amend(
        self, changes: Sequence[tuple[Record, Record]], marks: Sequence[Mark] = (), *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """As the port says; the marks as for `mark`."""
        traced = _traced(marks)
        with self._watching("amend"):
            written: list[Record] = await self._inner.amend(changes, traced, held=held)
        return written

    async def claim(self, **arguments: Any) -> list[Claim]:
        """As the port says."""
        with self._watching("claim"):
            claims: list[Claim] = await self._inner.claim(**arguments)
        if len(self._claimed) > _REMEMBERED:  # of claims that were never settled here
            self._claimed.clear()
        self._claimed |= {claim.subject: claim.marked_at for claim in claims if claim.marked_at is not None}
        return claims

    async def settle(self, settlements: Sequence[Settlement]) -> int:
        """As the port says."""
        with self._watching("settle"):
            lost: int = await self._inner.settle(settlements)
        for settlement in settlements:
            self._claimed.pop(settlement.claim.subject, None)
        return lost

    async def fulfil(
        self, marker: str | None, records: Sequence[Record], *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """As the port says. Tasks were made of these objects: their wait is over."""
        with self._watching("fulfil"):
            made: list[Record] = await self._inner.fulfil(marker, records, held=held)
        if made:
            label, now = dataset_label(made[0].dataset), self._clock.now()
            TASKS.labels(label).inc(len(made))
            for record in made:
                since = self._claimed.get(Subject(Kind.OBJECT, record.dataset, record.ref.id))
                if since is not None:  # else of an earlier pass, and nobody asks for its object now
                    EVENT_TO_TASK.labels(label).observe(max(0.0, now - since))
        return made

    async def stage(
        self, dataset: str, changes: Sequence[StagedChange], *, held: Sequence[Claim] | None = None
    ) -> None:
        """As the port says."""
        with self._watching("stage"):
            await self._inner.stage(dataset, changes, held=held)
        for change in changes:
            since = self._claimed.get(Subject(Kind.TASK, dataset, change.task_id))
            if since is not None and len(self._staged) < _REMEMBERED:
                self._staged.setdefault((dataset, change.annotation_id), since)

    async def committed(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """As the port says. Of what was staged before this process began, the annotator's own time counts."""
        with self._watching("committed"):
            await self._inner.committed(dataset, changes)
        waited, now = ANNOTATION_TO_SNAPSHOT.labels(dataset_label(dataset)), self._clock.now()
        for change in changes:
            since = self._staged.pop((dataset, change.annotation_id), None) or _submitted(change)
            if since is not None:
                waited.observe(max(0.0, now - since))


def _traced(marks: Sequence[Mark]) -> Sequence[Mark]:
    trace = tracer().traceparent()
    return [replace(mark, trace=trace) for mark in marks] if trace else marks


def _submitted(change: StagedChange) -> float | None:
    """When its annotator says it was last changed, unix seconds."""
    try:
        said = datetime.fromisoformat((change.row and change.row.updated_at) or "")
    except ValueError:
        return None
    return (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()


class _Snapshots(_Observed):
    """A snapshot store: what it commits is counted."""

    async def commit(self, *args: Any, **kwargs: Any) -> VersionInfo | None:
        """As the port says."""
        with self._watching("commit"):
            version: VersionInfo | None = await self._inner.commit(*args, **kwargs)
        if version:
            count_version(version)
        return version


class _Annotator(_Observed):
    """An annotation tool: the datasets it gives are watched as well."""

    async def ensure_dataset(self, spec: DatasetSpec) -> AnnotatorDataset:
        """As the port says."""
        with self._watching("ensure_dataset"):
            made = await self._inner.ensure_dataset(spec)
        return cast("AnnotatorDataset", _Observed("annotator", made))

    async def find_dataset(self, title: str) -> AnnotatorDataset | None:
        """As the port says."""
        with self._watching("find_dataset"):
            found = await self._inner.find_dataset(title)
        return cast("AnnotatorDataset", _Observed("annotator", found)) if found else None


def observed_state(state: StateStore, clock: Clock) -> StateStore:
    """The state store behind a watch."""
    return cast("StateStore", _State(state, clock))


def observed_annotator(annotator: Annotator) -> Annotator:
    """An annotation tool behind a watch."""
    return cast("Annotator", _Annotator("annotator", annotator))


def observed_store(store: ObjectStore) -> ObjectStore:
    """A bucket behind a watch."""
    return cast("ObjectStore", _Observed("objects", store))


def observed_snapshots(snapshots: SnapshotStore) -> SnapshotStore:
    """A snapshot store behind a watch."""
    return cast("SnapshotStore", _Snapshots("snapshots", snapshots))
