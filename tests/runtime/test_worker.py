"""Workers: batches by lane, settlements, backoff, and what happens when a flow fails."""

import asyncio
from collections.abc import Sequence

import pytest

from syncd.domain.errors import ConfigError, Conflict, Problem, Rejected, Retryable
from syncd.domain.model import Claim, Kind, Mark, Outcome, Settlement, Subject
from syncd.runtime.worker import Backoff, Flow, Pace, Pool
from syncd.state import MemoryState
from tests.clock import FakeClock


class RecordingState(MemoryState):
    """Remembers how claims were settled."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.settlements: list[Sequence[Settlement]] = []

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        self.settlements.append(settlements)
        await super().settle(settlements)


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

    def pool(self, flow: Flow | None = None, **backoff: float) -> Pool:
        flows: dict[Kind, Flow] = dict.fromkeys(Kind, flow or self.flow)
        return Pool(self.state, flows, self.clock, Pace(batch=3), Backoff(**backoff))

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
    pool = desk.pool()
    while await pool.work_once():
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
    await desk.pool().work_once()
    assert len(await desk.state.dead_letters()) == (2 if dead else 0)
    assert await desk.waiting() == (0 if dead else 2)


async def test_a_bug_is_raised_and_the_claims_come_back_after_their_lease(desk: Desk) -> None:
    desk.error = ZeroDivisionError()
    await desk.mark("1")
    with pytest.raises(ZeroDivisionError):
        await desk.pool().work_once()
    desk.error = None
    desk.clock.advance(61)
    assert await desk.pool().work_once()
    assert await desk.waiting() == 0


async def test_failures_wait_longer_and_longer_and_stay_a_batch(desk: Desk) -> None:
    desk.error = Retryable("down")
    await desk.mark("1", "2", "3")
    pool = desk.pool(first=1, longest=8)
    for _ in range(7):
        assert await pool.work_once()
        desk.clock.advance(8)
    delays = [sorted({s.delay for s in settled}) for settled in desk.state.settlements]
    assert [len(d) for d in delays] == [1] * 7, "one delay for all of a batch"
    for (delay,), whole in zip(delays, [1, 2, 4, 8, 8, 8, 8], strict=True):
        assert whole / 2 <= delay <= whole


async def test_the_other_sides_wish_to_wait_is_granted(desk: Desk) -> None:
    desk.error = Retryable("slow down", retry_after=120)
    await desk.mark("1")
    await desk.pool(longest=5).work_once()
    desk.clock.advance(119)
    assert not await desk.pool().work_once()
    desk.clock.advance(2)
    assert await desk.pool().work_once()


async def test_what_fails_for_too_long_is_given_up_and_a_new_mark_revives_it(desk: Desk) -> None:
    desk.error = Retryable("down")
    await desk.mark("1")
    pool = desk.pool(give_up_after=100, longest=10)
    for _ in range(40):
        await pool.work_once()
        desk.clock.advance(10)
    (letter,) = await desk.state.dead_letters()
    assert letter.reason == "down"
    desk.error = None
    await desk.mark("1")
    assert await pool.work_once()
    assert not await desk.state.dead_letters()


async def test_one_lane_is_never_worked_on_twice_at_once_and_others_are(desk: Desk) -> None:
    running: list[str] = []
    most: list[int] = []
    gate = asyncio.Event()

    async def slow(dataset: str, claims: Sequence[Claim]) -> list[Settlement]:
        running.append(dataset)
        most.append(running.count(dataset))
        await gate.wait()
        running.remove(dataset)
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    await desk.mark(*map(str, range(9)), dataset="a")
    await desk.mark(*map(str, range(9)), dataset="b")
    pool = desk.pool(slow)
    workers = [asyncio.create_task(pool.work_once()) for _ in range(4)]
    while len(running) < 2:
        await asyncio.sleep(0)
    assert sorted(running) == ["a", "b"]
    gate.set()
    assert sorted(await asyncio.gather(*workers)) == [False, False, True, True]
    assert max(most) == 1


async def test_work_ends_soon_after_stop_and_finishes_what_is_under_way(desk: Desk) -> None:
    stop = asyncio.Event()

    async def last(_: str, claims: Sequence[Claim]) -> list[Settlement]:
        stop.set()
        await asyncio.sleep(0)
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    await desk.mark("1", "2", "3", "4")
    async with asyncio.timeout(5):
        await desk.pool(last).work(stop)
    assert await desk.waiting() == 1
