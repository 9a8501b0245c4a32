"""The second worker of a lane of objects: it prepares its batch while the first waits for the annotator."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from syncd.domain.model import Claim, Kind, Outcome, Settlement
from syncd.runtime.worker import AHEAD_S, Workers
from tests.runtime.test_worker import Desk


class Slow(Desk):
    """A desk whose flow goes on when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def flow(self, dataset: str, claims: Sequence[Claim]) -> list[Settlement]:
        self.batches.append([claim.subject.id for claim in claims])
        await self.gate.wait()
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    @asynccontextmanager
    async def at_work(self, kind: Kind, subjects: int = 12) -> AsyncIterator[Workers]:
        """So many subjects in batches of three, the first of which is under way; all are let go on at the end."""
        await self.mark(*map(str, range(subjects)), kind=kind)
        workers = self.workers()
        assert await workers.start_one()
        await asyncio.sleep(0)
        yield workers
        self.gate.set()
        await workers.finish()


async def test_objects_get_a_second_worker_once_the_first_is_at_it_for_a_while_and_never_a_third() -> None:
    desk = Slow()
    async with desk.at_work(Kind.OBJECT) as workers:
        assert not await workers.start_one(), "a batch has had no time to gather"
        desk.clock.advance(AHEAD_S)
        assert await workers.start_one()
        desk.clock.advance(AHEAD_S)
        assert not await workers.start_one()
    assert desk.batches == [["0", "1", "2"], ["3", "4", "5"]]


async def test_what_is_no_object_has_one_worker_only() -> None:
    desk = Slow()
    async with desk.at_work(Kind.TASK) as workers:
        desk.clock.advance(10 * AHEAD_S)
        assert not await workers.start_one()


async def test_what_is_at_work_here_is_not_taken_up_again_when_its_lease_ran_out_while_the_process_slept() -> None:
    desk = Slow()
    async with desk.at_work(Kind.OBJECT, subjects=3) as workers:
        desk.clock.advance(3600)
        assert not await workers.start_one()
    assert desk.batches == [["0", "1", "2"]]
