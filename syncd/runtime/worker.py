"""The workers: claim a batch, run the one flow for its kind, settle it. Knows flows only as functions.

Used by `service`. One dispatcher claims, and each lane (kind and dataset) that has something due gets a worker of
its own, so a lane is worked on once at a time and one that hangs holds up no other. Only a lane of objects gets a
second one, which prepares its batch while the first waits for the annotator.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.domain.model import Claim, Kind, Outcome, Settlement, Subject
from syncd.ports import Clock, Lane, Subjects
from syncd.runtime.metrics import count_lost, count_settled
from syncd.runtime.retry import Backoff, splits
from syncd.runtime.tracing import tracer

log = structlog.get_logger()

Flow = Callable[[str, Sequence[Claim]], Awaitable[list[Settlement]]]
"""Dataset name and claims of one kind → a settlement for each claim."""

IDLE_S = 1.0
NAP_S = 0.05
AHEAD_S = 0.05
"""How long the first worker of a lane has been at it when a second one may join: so long a batch may gather."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How work is taken: subjects a claim, and seconds a lease lasts."""

    batch: int = 500
    lease: float = 60.0


@dataclass(frozen=True, slots=True)
class _Work:
    """What one worker is at, since when (the clock's seconds)."""

    lane: Lane
    subjects: frozenset[Subject]
    begun: float


class Workers:
    """All workers of one process."""

    def __init__(
        self,
        subjects: Subjects,
        flows: Mapping[Kind, Flow],
        clock: Clock,
        pace: Pace,
        backoff: Backoff | Mapping[Kind, Backoff],
    ) -> None:
        self._subjects = subjects
        self._flows = flows
        self._clock = clock
        self._pace = pace
        self._backoff = backoff if isinstance(backoff, Mapping) else dict.fromkeys(Kind, backoff)
        self._running: dict[asyncio.Task[None], _Work] = {}
        self._succeeded: dict[Lane, float] = {}

    async def work(self, stop: asyncio.Event) -> None:
        """Work until `stop`; what is under way is finished first. A bug of a flow is raised.

        Trouble with the state store is waited out: nothing was acknowledged that is not in it.
        """
        try:
            while not stop.is_set():
                try:
                    await self._dispatch()
                except Retryable as error:
                    log.warning("state.unwell", error=str(error))
                    await self._clock.sleep(IDLE_S)
            await self.finish()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)  # a command ends its processes meanwhile

    async def _dispatch(self) -> None:
        """Start a worker for what is due, or wait a little for something to become due."""
        self._collect_finished()
        if await self.start_one():
            return
        if self._running:  # what is due may belong to a lane under way: `wait` would return at once
            await asyncio.wait(self._running, timeout=NAP_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await self._subjects.wait(IDLE_S)

    async def start_one(self) -> bool:
        """Claim one batch and start a worker on it; False when nothing is due in a free lane."""
        claimed = await self._subjects.claim(limit=self._pace.batch, lease=self._pace.lease, avoid=self._busy())
        held = frozenset[Subject]().union(*(work.subjects for work in self._running.values()))
        claims = [claim for claim in claimed if claim.subject not in held]  # a lease may have run out while we slept
        if claims:
            lane = (claims[0].subject.kind, claims[0].subject.dataset)
            work = _Work(lane, frozenset(claim.subject for claim in claims), self._clock.now())
            self._running[asyncio.create_task(self._work_on(lane, claims), name="worker {} {}".format(*lane))] = work
        return bool(claims)

    def _busy(self) -> frozenset[Lane]:
        """The lanes that may get no other worker now."""
        ready = self._clock.now() - AHEAD_S
        begun: dict[Lane, list[float]] = {}
        for work in self._running.values():
            begun.setdefault(work.lane, []).append(work.begun)
        return frozenset(
            lane for lane, since in begun.items() if lane[0] is not Kind.OBJECT or len(since) > 1 or since[0] > ready
        )

    async def finish(self) -> None:
        """Wait for the workers under way; raises the bug of any of them."""
        while self._running:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            self._collect_finished()

    def _collect_finished(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            try:
                task.result()
            except Retryable as error:  # of the state store: the claims come back after their lease
                log.warning("settle.failed", error=str(error))

    async def _work_on(self, lane: Lane, claims: list[Claim]) -> None:
        with tracer().work(lane, claims) as trace:
            holding = asyncio.create_task(self._hold(claims), name="hold {} {}".format(*lane))
            try:
                settlements = await self._attempt(lane, claims, splits(claims))
            finally:
                holding.cancel()
            settled = self._timed(lane, settlements)
            lost = await self._subjects.settle(settled)
            trace(settled)
        count_settled(lane, settled, lost)
        if lost:
            log.warning("claim.lost", kind=lane[0], dataset=lane[1], subjects=lost)

    def _timed(self, lane: Lane, settlements: list[Settlement]) -> list[Settlement]:
        """Failed tries with their wait, or given up; and whether this lane succeeds is noted."""
        now = self._clock.now()
        if any(s.outcome is Outcome.DONE for s in settlements):
            self._succeeded[lane] = now
        others = self._succeeded.get(lane, 0.0)
        return [self._backoff[lane[0]].timed(s, now, others) for s in settlements]

    async def _attempt(self, lane: Lane, claims: list[Claim], halvings: int) -> list[Settlement]:
        """The flow's settlements; an expected error of the whole batch becomes one for each claim.

        One subject must not take its batch down: what is rejected whole is halved until the guilty one is alone,
        and so is, after some tries, what keeps failing.
        """
        kind, dataset = lane
        try:
            return await self._flows[kind](dataset, claims)
        except SyncdError as error:
            log.warning("flow.failed", kind=kind, dataset=dataset, subjects=len(claims), error=str(error))
            dividing = isinstance(error, Rejected) or (isinstance(error, Retryable) and halvings > 0)
            if len(claims) == 1 or not dividing:
                return self._backoff[kind].share(claims, error)
        middle = len(claims) // 2
        halves = [await self._attempt(lane, half, halvings - 1) for half in (claims[:middle], claims[middle:])]
        return halves[0] + halves[1]

    async def _hold(self, claims: list[Claim]) -> None:
        """Keep the lease while the flow runs."""
        while True:
            await asyncio.sleep(self._pace.lease / 3)
            try:
                lost = await self._subjects.renew(claims, lease=self._pace.lease)
                count_lost(claims[0].subject.kind, "renew", lost)
            except SyncdError as error:
                log.warning("lease.not_renewed", error=str(error))
