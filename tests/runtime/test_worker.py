"""Workers: batches by lane, settlements, backoff, and what happens when a flow fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from syncd.domain.errors import ConfigError, Conflict, Problem, Rejected, Retryable
from syncd.domain.model import Claim, Kind, Mark, Outcome, Settlement, Subject
from syncd.runtime.retry import Backoff
from syncd.runtime.worker import Flow, Pace, Workers
from syncd.state import MemoryState
from tests.clock import FakeClock


class RecordingState(MemoryState):
    """Remembers how claims were settled; fails where `trouble` says so, in its order."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.settlements: list[Sequence[Settlement]] = []
        self.trouble: list[str] = []

    async def claim(self, **arguments: Any) -> list[Claim]:
        self._may_fail("claim")
        return await super().claim(**arguments)

    async def settle(self, settlements: Sequence[Settlement]) -> int:
        self._may_fail("settle")
        self.settlements.append(settlements)
        return await super().settle(settlements)

    def _may_fail(self, what: str) -> None:
        if self.trouble[:1] == [what]:
            self.trouble.pop(0)
            raise Retryable("the disk is full")


class Desk:
    """A state, a clock, and a flow that does what the test says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.state = RecordingState(self.clock)
        self.batches: list[list[str]] = []
        self.error: Exception | None = None

    async def flow(self, dataset: str, claims: Sequence[Claim]) -> list[Settlement]:
        self.batches.append([claim.subject.id for claim in claims])
        if self.error:
            raise self.error
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    def workers(self, flow: Flow | None = None, *, batch: int = 3, **backoff: Any) -> Workers:
        flows: dict[Kind, Flow] = dict.fromkeys(Kind, flow or self.flow)
        return Workers(self.state, flows, self.clock, Pace(batch=batch), Backoff(**backoff))

    async def work_once(self, workers: Workers | None = None) -> bool:
        """One batch from claim to settlement; False when nothing is due."""
        workers = workers or self.workers()
        started = await workers.start_one()
        await workers.finish()
        return started

    async def mark(self, *ids: str, kind: Kind = Kind.TASK, dataset: str = "d") -> None:
        await self.state.mark([Mark(Subject(kind, dataset, id_)) for id_ in ids])

    async def waiting(self) -> int:
        return sum(b.pending for b in await self.state.backlog())


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_batch_holds_subjects_of_one_kind_and_dataset_only(desk: Desk) -> None:
    await desk.mark("1", "2", "3", "4")
    await desk.mark("5", dataset="other")
    await desk.mark("6", kind=Kind.OBJECT)
    while await desk.work_once():
        pass
    assert sorted(map(sorted, desk.batches)) == [["1", "2", "3"], ["4"], ["5"], ["6"]]
    assert await desk.waiting() == 0


@pytest.mark.parametrize(
    ("error", "dead"),
    [
        (Retryable("down"), False),
        (Conflict("moved"), False),
        (ConfigError([Problem("token", "", "a token")]), False),
        (Rejected("never"), True),
    ],
)
async def test_an_expected_error_settles_the_whole_batch(desk: Desk, error: Exception, dead: bool) -> None:
    desk.error = error
    await desk.mark("1", "2")
    await desk.work_once()
    assert len(await desk.state.dead_letters()) == (2 if dead else 0)
    assert await desk.waiting() == (0 if dead else 2)


@pytest.mark.parametrize("error", [Rejected("never"), Retryable("answers 500 for this one")])
async def test_one_poisonous_subject_does_not_take_its_batch_down(desk: Desk, error: Exception) -> None:
    async def poisoned(_: str, claims: Sequence[Claim]) -> list[Settlement]:
        if any(claim.subject.id == "7" for claim in claims):
            raise error
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    await desk.mark(*map(str, range(50)))
    workers = desk.workers(poisoned, batch=50)
    for _ in range(12):
        await desk.work_once(workers)
        desk.clock.advance(300)
    assert await desk.waiting() + len(await desk.state.dead_letters()) == 1


async def test_an_outage_is_not_multiplied_by_the_size_of_the_batch(desk: Desk) -> None:
    desk.error = Retryable("down")
    await desk.mark(*map(str, range(500)))
    workers = desk.workers(batch=500)
    for _ in range(20):
        await desk.work_once(workers)
        desk.clock.advance(300)
    assert len(desk.batches) < 20 * 32


async def test_a_bug_is_raised_and_the_claims_come_back_after_their_lease(desk: Desk) -> None:
    desk.error = ZeroDivisionError()
    await desk.mark("1")
    with pytest.raises(ZeroDivisionError):
        await desk.work_once()
    desk.error = None
    desk.clock.advance(61)
    assert await desk.work_once()
    assert await desk.waiting() == 0


async def test_failures_wait_longer_and_longer_and_stay_a_batch(desk: Desk) -> None:
    desk.error = Retryable("down")
    await desk.mark("1", "2", "3")
    workers = desk.workers(first=1, longest=2)
    for _ in range(3):
        assert await desk.work_once(workers)
        desk.clock.advance(2)
    delays = [sorted({s.delay for s in settled}) for settled in desk.state.settlements]
    assert [len(d) for d in delays] == [1] * 3, "one delay for all of a batch"
    for (delay,), whole in zip(delays, [1, 2, 2], strict=True):
        assert whole / 2 <= delay <= whole


async def test_the_other_sides_wish_to_wait_is_granted(desk: Desk) -> None:
    desk.error = Retryable("slow down", retry_after=120)
    await desk.mark("1")
    workers = desk.workers(longest=5)
    await desk.work_once(workers)
    desk.clock.advance(119)
    assert not await desk.work_once(workers)
    desk.clock.advance(2)
    assert await desk.work_once(workers)


async def test_what_fails_for_too_long_while_others_do_not_is_given_up_and_a_new_mark_revives_it(desk: Desk) -> None:
    async def only_one_fails(_: str, claims: Sequence[Claim]) -> list[Settlement]:
        return [Settlement(c, Outcome.AGAIN if c.subject.id == "bad" else Outcome.DONE, "broken") for c in claims]

    await desk.mark("bad")
    workers = desk.workers(only_one_fails, give_up_after=100, longest=10)
    for n in range(40):
        await desk.mark(f"good {n}")
        await desk.work_once(workers)
        desk.clock.advance(10)
    (letter,) = await desk.state.dead_letters()
    assert (letter.subject.id, letter.reason) == ("bad", "broken")
    await desk.mark("bad")
    assert await desk.work_once()
    assert not await desk.state.dead_letters()


async def test_an_outage_kills_no_subject_however_long_it_lasts(desk: Desk) -> None:
    desk.error = Retryable("down")
    await desk.mark("1", "2")
    workers = desk.workers(give_up_after=100, longest=10)
    for _ in range(100):
        await desk.work_once(workers)
        desk.clock.advance(10)
    assert not await desk.state.dead_letters()
    assert await desk.waiting() == 2


async def test_a_kind_that_does_not_outlast_outages_is_given_up_though_nothing_succeeded(desk: Desk) -> None:
    desk.error = Retryable("down")
    await desk.mark("stale", kind=Kind.DELIVERY)
    await desk.mark("kept")
    rule = Backoff(give_up_after=100, longest=10)
    backoffs = {**dict.fromkeys(Kind, rule), Kind.DELIVERY: replace(rule, outlasts_outages=False)}
    workers = Workers(desk.state, dict.fromkeys(Kind, desk.flow), desk.clock, Pace(), backoffs)
    for _ in range(100):
        await desk.work_once(workers)
        desk.clock.advance(10)
    (letter,) = await desk.state.dead_letters()
    assert (letter.subject.id, letter.reason) == ("stale", "down")


async def test_what_is_cut_short_has_ended_when_work_returns(desk: Desk) -> None:
    ended: list[str] = []
    started = asyncio.Event()

    async def training(_: str, claims: Sequence[Claim]) -> list[Settlement]:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)  # as a command that is asked to end
            ended.append(claims[0].subject.id)
        return []

    await desk.mark("1")
    working = asyncio.create_task(desk.workers(training).work(asyncio.Event()))
    await started.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert ended == ["1"]


async def test_one_lane_is_never_worked_on_twice_at_once_and_one_that_hangs_holds_up_no_other(desk: Desk) -> None:
    running: list[str] = []
    gate = asyncio.Event()
    stop = asyncio.Event()

    async def hanging(dataset: str, claims: Sequence[Claim]) -> list[Settlement]:
        running.append(dataset)
        if dataset.startswith("hangs"):
            await gate.wait()
        if dataset == "fine":
            stop.set()
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    for n in range(9):
        await desk.mark(*map(str, range(9)), dataset=f"hangs {n}")
    await desk.mark("1", dataset="fine")
    working = asyncio.create_task(desk.workers(hanging).work(stop))
    async with asyncio.timeout(5):
        await stop.wait()
    assert sorted(running) == ["fine", *(f"hangs {n}" for n in range(9))]
    gate.set()
    async with asyncio.timeout(5):
        await working


async def test_trouble_with_the_state_is_waited_out(desk: Desk) -> None:
    stop = asyncio.Event()

    async def last(_: str, claims: Sequence[Claim]) -> list[Settlement]:
        stop.set()
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    await desk.mark("1")
    desk.state.trouble = ["claim", "claim"]
    async with asyncio.timeout(5):
        await desk.workers(last).work(stop)
    assert await desk.waiting() == 0


async def test_a_settlement_that_cannot_be_written_is_made_good_after_the_lease(desk: Desk) -> None:
    await desk.mark("1")
    desk.state.trouble = ["settle"]
    workers = desk.workers()
    await desk.work_once(workers)
    desk.clock.advance(61)
    await desk.work_once(workers)
    assert desk.batches == [["1"], ["1"]]
    assert await desk.state.backlog() == []


async def test_work_ends_soon_after_stop_and_finishes_what_is_under_way(desk: Desk) -> None:
    stop = asyncio.Event()

    async def last(_: str, claims: Sequence[Claim]) -> list[Settlement]:
        stop.set()
        await asyncio.sleep(0)
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    await desk.mark("1", "2", "3", "4")
    async with asyncio.timeout(5):
        await desk.workers(last).work(stop)
    assert await desk.waiting() == 1
