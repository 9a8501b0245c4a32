"""Workers: claim a batch, run the one flow for its kind, settle it. Knows flows only as functions.

Used by `service`. Several workers share one `Pool`, which keeps each lane (kind and dataset) to one flow at a
time in this process. The long time scale of retry lives here: backoff and give-up; seconds belong to the adapters.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from syncd.domain.errors import ConfigError, Conflict, Rejected, Retryable, SyncdError
from syncd.domain.model import Claim, Kind, Outcome, Settlement
from syncd.ports import Clock, Lane, Subjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

Flow = Callable[[str, Sequence[Claim]], Awaitable[list[Settlement]]]
"""Dataset name and claims of one kind → a settlement for each claim."""

IDLE_S = 1.0
NAP_S = 0.05


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds: the first wait, the longest wait, and after how long failing a subject is given up."""

    first: float = 1.0
    longest: float = 300.0
    give_up_after: float = 3 * 24 * 3600.0

    def delay(self, attempts: int, jitter: float) -> float:
        """The wait after so many failed tries; `jitter` in 0..1 spreads it over the upper half."""
        whole = min(self.longest, self.first * 2.0 ** min(attempts, 30))
        return whole * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker takes work: subjects a claim, seconds a lease lasts and seconds to gather a batch."""

    batch: int = 500
    lease: float = 60.0
    linger: float = 0.05


class Pool:
    """What the workers of one process share."""

    def __init__(
        self, subjects: Subjects, flows: Mapping[Kind, Flow], clock: Clock, pace: Pace, backoff: Backoff
    ) -> None:
        self._subjects = subjects
        self._flows = flows
        self._clock = clock
        self._pace = pace
        self._backoff = backoff
        self._busy: set[Lane] = set()
        self._claiming = asyncio.Lock()

    async def work(self, stop: asyncio.Event) -> None:
        """Work until `stop`; a batch under way is finished first. Bugs of a flow are raised."""
        while not stop.is_set():
            if not await self.work_once():
                await self._idle()

    async def _idle(self) -> None:
        """Wait for work. What is due may belong to a busy lane: then a short nap, for `wait` would return at once."""
        if self._busy:
            await self._clock.sleep(NAP_S)
        else:
            await self._subjects.wait(IDLE_S)

    async def work_once(self) -> bool:
        """Take one batch and settle it; False when nothing is due."""
        async with self._take() as claims:
            if claims:
                settlements = await self._run(claims)
                await self._subjects.settle([self._timed(s) for s in settlements])
            return bool(claims)

    @asynccontextmanager
    async def _take(self) -> "AsyncIterator[list[Claim]]":
        async with self._claiming:  # so that two workers do not take the same lane
            pace = self._pace
            claims = await self._subjects.claim(limit=pace.batch, lease=pace.lease, avoid=frozenset(self._busy))
            lane = (claims[0].subject.kind, claims[0].subject.dataset) if claims else None
            if lane:
                self._busy.add(lane)
        try:
            yield claims
        finally:
            if lane:
                self._busy.discard(lane)

    async def _run(self, claims: list[Claim]) -> list[Settlement]:
        """The flow's settlements; an expected error of the whole batch becomes one for each claim."""
        subject = claims[0].subject
        holding = asyncio.create_task(self._hold(claims), name=f"hold {subject.kind} {subject.dataset}")
        try:
            return await self._flows[subject.kind](subject.dataset, claims)
        except SyncdError as error:
            log.warning(
                "flow.failed", kind=subject.kind, dataset=subject.dataset, subjects=len(claims), error=str(error)
            )
            return self._share(claims, error)
        finally:
            holding.cancel()

    def _share(self, claims: list[Claim], error: SyncdError) -> list[Settlement]:
        """One error for all: they stay a batch, because they get one delay."""
        if isinstance(error, Rejected):
            return [Settlement(claim, Outcome.DEAD, str(error)) for claim in claims]
        if isinstance(error, Conflict):
            return [Settlement(claim, Outcome.AGAIN, str(error), failed=False) for claim in claims]
        wish = error.retry_after if isinstance(error, Retryable) else None
        # a token revoked or a project gone while running is mended by a person, without a restart
        attempts = 30 if isinstance(error, ConfigError) else min(claim.attempts for claim in claims)
        delay = max(wish or 0.0, self._backoff.delay(attempts, random.random()))  # noqa: S311 - jitter
        return [Settlement(claim, Outcome.AGAIN, str(error), delay=delay) for claim in claims]

    def _timed(self, s: Settlement) -> Settlement:
        """Give a failed try its wait, and up when it has failed for too long."""
        if s.outcome is not Outcome.AGAIN or not s.failed:
            return s
        since = s.claim.failing_since
        if since is not None and self._clock.now() - since > self._backoff.give_up_after:
            return replace(s, outcome=Outcome.DEAD)
        return replace(s, delay=s.delay or self._backoff.delay(s.claim.attempts, random.random()))  # noqa: S311

    async def _hold(self, claims: list[Claim]) -> None:
        """Keep the lease while the flow runs."""
        while True:
            await asyncio.sleep(self._pace.lease / 3)
            try:
                await self._subjects.renew(claims, lease=self._pace.lease)
            except Retryable as error:
                log.warning("lease.not_renewed", error=str(error))
