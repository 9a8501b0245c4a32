"""The store on SQL does what the reference in memory does, whatever is asked of both in whatever order."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.domain.deliveries import Attempt, Delivery, Status, Verdict
from syncd.domain.model import (
    Claim,
    Intent,
    Kind,
    Mark,
    ObjectRef,
    Observation,
    Outcome,
    Placement,
    Record,
    Settlement,
    StagedChange,
    Subject,
    TaskState,
)
from syncd.domain.notifications import BadEvent
from syncd.ports import StateStore
from syncd.state import MemoryState, open_state
from tests.clock import FakeClock
from tests.contracts.test_state_store import row
from tests.postgres import Postgres

T = TypeVar("T")
DATASETS = ["cars", "pets"]
KEYS = ["a", "a/b", "ä", "\U0001f98a", "\uffff", "Z\n"]
TASKS = ["1", "2", "10", "x"]
DELIVERIES = ["cars/v1/a", "cars/v2/b", "pets/v1/a", "none"]


@dataclass
class Twins:
    """Both stores on one clock, and what their caller holds: claims and staged changes, as pairs."""

    memory: StateStore
    sql: StateStore
    clock: FakeClock
    claims: list[tuple[Claim, Claim]] = field(default_factory=list)
    staged: list[tuple[str, StagedChange, StagedChange]] = field(default_factory=list)

    async def same(self, ask: Callable[[StateStore], Awaitable[Any]]) -> None:
        assert await ask(self.memory) == await ask(self.sql)

    def each(self, pairs: Sequence[tuple[T, T]]) -> list[tuple[StateStore, list[T]]]:
        """Each store with its own halves of the pairs."""
        return [(self.memory, [ours for ours, _ in pairs]), (self.sql, [theirs for _, theirs in pairs])]


Step = Callable[[Twins], Awaitable[None]]

datasets = st.sampled_from(DATASETS)
refs = st.builds(ObjectRef, st.sampled_from(["s3://a", "s3://b"]), st.sampled_from(KEYS))
subjects = st.builds(
    Subject, st.sampled_from([Kind.OBJECT, Kind.DATASET]), datasets, st.sampled_from(KEYS[:3])
) | st.builds(Subject, st.just(Kind.TASK), datasets, st.sampled_from(TASKS))
seconds = st.sampled_from([0.0, 0.5, 5.0, 60.0])
observations = st.builds(
    Observation,
    st.floats(0, 2e9),
    st.none() | st.text(max_size=3),
    st.none() | st.text(max_size=3),
    st.none() | st.text("0AF", max_size=4),
    st.none() | st.integers(0, 2**63 - 1),
    st.booleans(),
)
bad_events = st.builds(
    BadEvent, st.sampled_from(["malformed", "too_large"]), st.text(max_size=3), st.binary(max_size=1)
)
lanes = st.frozensets(st.tuples(st.sampled_from(Kind), datasets), max_size=3)
traces = st.none() | st.sampled_from(["t1", "t2", "t3"])
marks = st.builds(Mark, subjects, st.none() | observations, seconds, st.booleans(), st.booleans(), traces)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
records = st.builds(
    Record,
    datasets,
    refs,
    st.sampled_from(["k1", "k2"]),
    st.sampled_from(TASKS),
    st.none() | texts,
    st.none() | texts,
    st.none() | st.integers(0, 2**63 - 1),
    st.integers(0, 3),
    st.sampled_from(TaskState),
)
placements = st.builds(
    Placement, refs, st.just("k"), st.none() | st.text(), st.none(), st.none() | st.integers(0, 9), st.integers(0, 3)
)
attempts = st.builds(
    Attempt, st.floats(0, 2e9), st.floats(0, 9), st.sampled_from(Verdict), st.text(max_size=3), st.text(max_size=3)
)
intents = st.builds(
    Intent, datasets, st.sampled_from("mn"), st.floats(0, 9), st.lists(placements, max_size=2).map(tuple)
)


@st.composite
def changes(draw: st.DrawFn) -> StagedChange:
    annotation, task = draw(st.sampled_from("123")), draw(st.sampled_from(TASKS))
    digest = draw(st.none() | st.sampled_from(["d1", "d2"]))
    return StagedChange(annotation, task, None if digest is None else row(annotation, task, digest))


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    dataset, trigger, n = draw(datasets), draw(st.sampled_from("ab")), draw(st.sampled_from("12"))
    held = draw(st.none() | st.sampled_from(["too soon", "too few"]))
    made = draw(st.sampled_from([1.0, 2.0, 3.0]))
    return Delivery(f"{dataset}/v{n}/{trigger}", dataset, trigger, {"n": n}, made, passed_over=held)


def mark(batch: Sequence[Mark]) -> Step:
    return lambda twins: twins.same(lambda state: state.mark(batch))


def advance(by: float) -> Step:
    async def step(twins: Twins) -> None:
        twins.clock.advance(by)

    return step


def claim(limit: int, lease: float, avoid: frozenset[tuple[Kind, str]]) -> Step:
    async def step(twins: Twins) -> None:
        ours, theirs = [await s.claim(limit=limit, lease=lease, avoid=avoid) for s in (twins.memory, twins.sql)]
        assert [replace(c, token="") for c in ours] == [replace(c, token="") for c in theirs]
        twins.claims += zip(ours, theirs, strict=True)

    return step


def settle(which: int, outcome: Outcome, delay: float, failed: bool, vanished: bool) -> Step:
    async def step(twins: Twins) -> None:
        pairs = twins.each(twins.claims[which : which + 2])
        lost = [
            await state.settle([Settlement(c, outcome, "why", delay, failed, vanished) for c in claims])
            for state, claims in pairs
        ]
        assert lost[0] == lost[1]

    return step


def renew(which: int, lease: float) -> Step:
    async def step(twins: Twins) -> None:
        lost = [await state.renew(claims, lease=lease) for state, claims in twins.each(twins.claims[which:])]
        assert lost[0] == lost[1]

    return step


def on_dead(name: str, chosen: Sequence[Subject]) -> Step:
    return lambda twins: twins.same(lambda state: getattr(state, name)(chosen))


def record(batch: Sequence[Record]) -> Step:
    return lambda twins: twins.same(lambda state: state.record(batch))


def fulfil(marker: str, batch: Sequence[Record]) -> Step:
    return lambda twins: twins.same(lambda state: state.fulfil(marker, batch))


def amend(dataset: str, stale: Sequence[Record], after: TaskState, marks: Sequence[Mark]) -> Step:
    """Those that are there, and some that are not so."""

    async def amended(state: StateStore) -> list[Record]:
        there = [r for ours in (await state.by_task(dataset, TASKS)).values() for r in ours]
        both = sorted([*there, *stale], key=lambda r: r.task_key)
        return await state.amend([(r, replace(r, state=after)) for r in both], marks)

    return lambda twins: twins.same(amended)


def intend(intent: Intent) -> Step:
    return lambda twins: twins.same(lambda state: state.intend(intent))


def stage(dataset: str, batch: Sequence[StagedChange], held: int | None) -> Step:
    """Of all claims that are known, held or not, those from `held` on."""

    async def step(twins: Twins) -> None:
        claims = list(zip(*twins.claims[held:], strict=True)) if held is not None else [None, None]
        for state, ours in zip((twins.memory, twins.sql), claims or [(), ()], strict=True):
            await state.stage(dataset, batch, held=ours)

    return step


def look(dataset: str, limit: int) -> Step:
    async def step(twins: Twins) -> None:
        ours, theirs = [await s.staged(dataset, limit=limit) for s in (twins.memory, twins.sql)]
        assert [replace(c, seq=0) for c in ours] == [replace(c, seq=0) for c in theirs]
        twins.staged += [(dataset, *pair) for pair in zip(ours, theirs, strict=True)]

    return step


def commit(dataset: str, last: int) -> Step:
    async def step(twins: Twins) -> None:
        seen = [(ours, theirs) for owner, ours, theirs in twins.staged[-last:] if owner == dataset]
        for state, batch in twins.each(seen):
            await state.committed(dataset, batch)

    return step


def announce(batch: Sequence[Delivery], cursor: str) -> Step:
    return lambda twins: twins.same(lambda state: state.announce(batch, cursor=cursor, value="v"))


def prune_gone(back: float) -> Step:
    return lambda twins: twins.same(lambda state: state.prune_gone(twins.clock.now() - back))


def quarantine(source: str, bad: Sequence[BadEvent]) -> Step:
    return lambda twins: twins.same(lambda state: state.quarantine(source, bad))


def drop_quarantined(which: int) -> Step:
    async def step(twins: Twins) -> None:
        ids = [kept.id for kept in await twins.memory.quarantined()][which : which + 2]
        await twins.same(lambda state: state.drop_quarantined(ids))

    return step


def on_deliveries(name: str, *arguments: Any) -> Step:
    return lambda twins: twins.same(lambda state: getattr(state, name)(*arguments))


steps = st.one_of(
    st.builds(announce, st.lists(deliveries(), max_size=3), st.sampled_from(["x:cars", "y"])),
    st.builds(on_deliveries, st.just("redeliver"), st.lists(st.sampled_from(DELIVERIES), max_size=2)),
    st.builds(on_deliveries, st.just("attempted"), st.sampled_from(DELIVERIES), attempts),
    st.builds(on_deliveries, st.just("prune_deliveries"), st.sampled_from([0.0, 2.0, 9.0])),
    st.builds(on_deliveries, st.just("forget"), datasets),
    st.builds(prune_gone, st.sampled_from([0.0, 5.0, 60.0])),
    st.builds(quarantine, st.sampled_from("ab"), st.lists(bad_events, max_size=3)),
    st.builds(drop_quarantined, st.integers(0, 3)),
    st.builds(mark, st.lists(marks, max_size=5)),
    st.builds(mark, st.lists(marks, min_size=3, max_size=9)),
    st.builds(advance, st.sampled_from([0.5, 5.0, 60.0])),
    st.builds(claim, st.integers(1, 4), st.sampled_from([1.0, 30.0]), lanes),
    st.builds(claim, st.just(3), st.just(30.0), st.just(frozenset())),
    st.builds(settle, st.integers(-4, 4), st.sampled_from(Outcome), seconds, st.booleans(), st.booleans()),
    st.builds(settle, st.just(-2), st.sampled_from(Outcome), seconds, st.booleans(), st.booleans()),
    st.builds(renew, st.integers(-4, 0), st.just(10.0)),
    st.builds(on_dead, st.sampled_from(["revive", "drop"]), st.lists(subjects, max_size=8)),
    st.builds(record, st.lists(records, max_size=4)),
    st.builds(fulfil, st.sampled_from("mn"), st.lists(records, max_size=4)),
    st.builds(amend, datasets, st.lists(records, max_size=2), st.sampled_from(TaskState), st.lists(marks, max_size=2)),
    st.builds(intend, intents),
    st.builds(stage, datasets, st.lists(changes(), max_size=4), st.none() | st.integers(0, 3)),
    st.builds(look, datasets, st.integers(1, 5)),
    st.builds(commit, datasets, st.integers(1, 3)),
)  # fmt: skip


async def compare(twins: Twins) -> None:
    """Everything that can be read."""
    await twins.same(lambda state: state.backlog())
    await twins.same(lambda state: state.dead_letters())
    await twins.same(lambda state: state.quarantined())
    await twins.same(lambda state: state.quarantined("a", 2))
    await twins.same(lambda state: state.quarantine_counts())
    await twins.same(lambda state: state.deliveries())
    for status in Status:
        await twins.same(lambda state, s=status: state.deliveries(status=s, limit=3))  # type: ignore[misc]
    await twins.same(lambda state: state.get("x:cars"))
    for dataset in DATASETS:
        await twins.same(lambda state, d=dataset: state.dead_letters(d))  # type: ignore[misc]
        await twins.same(lambda state, d=dataset: state.deliveries(dataset=d))  # type: ignore[misc]
        await twins.same(lambda state, d=dataset: state.intents(d))  # type: ignore[misc]
        await twins.same(lambda state, d=dataset: state.by_task(d, TASKS))  # type: ignore[misc]
        await twins.same(lambda state, d=dataset: state.known(d, TASKS))  # type: ignore[misc]
        await twins.same(lambda state, d=dataset: state.tasks_of(d, list("123")))  # type: ignore[misc]
        await twins.same(lambda state, d=dataset: state.staged_count(d))  # type: ignore[misc]
        await twins.same(lambda state, d=dataset: walked(state, d))  # type: ignore[misc]
        for after, upto in (("", None), ("a", "ä"), ("a/b", "a/b"), ("", "\uffff")):
            await twins.same(lambda state, d=dataset, a=after, u=upto: versions(state, d, a, u))  # type: ignore[misc]
        await look(dataset, 10)(twins)


async def walked(state: StateStore, dataset: str) -> list[Record]:
    objects = [r async for page in state.walk(dataset, "s3://a") for r in page]
    return objects + [r async for page in state.walk_tasks(dataset) for r in page]


async def versions(state: StateStore, dataset: str, after: str, upto: str | None) -> list[tuple[Any, ...]]:
    pages = state.walk_versions(dataset, "s3://a", after=after, upto=upto)
    return [tuple(row) async for page in pages for row in page]


async def run(place: Path | str, script: Sequence[Step]) -> None:
    clock = FakeClock()
    sql = await open_state(place, clock, virtual=True)
    twins = Twins(MemoryState(clock), sql, clock)
    try:
        for step in script:
            await step(twins)
        await compare(twins)
    finally:
        await sql.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=10, max_size=50))
def test_sqlite_answers_as_memory_does(script: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory) / "state.db", script))


@settings(max_examples=30)
@given(script=st.lists(steps, min_size=10, max_size=50))
def test_postgres_answers_as_memory_does(postgres: Postgres, script: list[Step]) -> None:
    asyncio.run(run(postgres.state(), script))
