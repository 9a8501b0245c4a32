"""Carries messages from a queue to `deliver`: several batches under way, each under a lease that is renewed.

Used by `pubsub` and `storage_queue`, which say how their queue is spoken to. A message is finished only after what it
said is durable. What can never be read is kept for a person and finished as well, so that it holds nobody up. Where
`deliver` cannot take a batch now, it is held and offered again: to give it back each time would count against it,
and end in a dead-letter queue for an outage of ours. It is given back when the source stops.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.domain.notifications import EXCERPT, BadEvent, Notices
from syncd.ports import Clock, Deliver
from syncd.sources.gate import Gate

log = structlog.get_logger()

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 10.0
FINISH_TRIES = 3
GIVE_BACK_S = 2.0
"""So long may giving back hold up a stop."""

M = TypeVar("M")


class Queue(Protocol[M]):
    """A queue whose messages are taken under a lease. All but `read` may raise any SyncdError: it is asked again."""

    keep_first: float
    """Seconds after a `take` by which a lease must be renewed, with some to spare,"""
    keep_every: float
    """and after each renewal."""

    async def take(self) -> Sequence[M]:
        """The next batch. Empty: there was nothing, and it waited a while itself."""
        ...

    def read(self, message: M) -> Notices:
        """What a message says. Rejected: nothing that can ever be read."""
        ...

    def excerpt(self, message: M) -> bytes:
        """The beginning of a message, for a person."""
        ...

    async def keep(self, messages: Sequence[M]) -> None:
        """Renew their leases."""
        ...

    async def finish(self, messages: Sequence[M]) -> None:
        """Remove them for good. One whose lease was lost comes again, which is no error."""
        ...

    async def give_back(self, messages: Sequence[M]) -> None:
        """Let others have them at once."""
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...


@dataclass(frozen=True)
class Pulling(Generic[M]):
    """Pulls one queue for the source `name`, with up to `lanes` batches under way."""

    name: str
    queue: Queue[M]
    gate: Gate
    clock: Clock
    lanes: int
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As `EventSource.run`."""
        rescan()
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(self.lanes):
                    lanes.create_task(self._pull(deliver, rescan))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await self.queue.close()

    async def _pull(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        while True:
            messages: Sequence[M] = await self._patiently("queue.take_failed", SyncdError)(self.queue.take)
            if messages and await self._carry(messages, deliver):
                rescan()

    async def _carry(self, messages: Sequence[M], deliver: Deliver) -> bool:
        """Whether they spoke of objects without naming them."""
        notices = _together([self._read(message) for message in messages])
        keeping = asyncio.create_task(self._keep(messages))
        taken = False
        try:
            async with self._turn:  # one at a time: while the state is busy, one asks it again
                await self._patiently("queue.delivery_failed", Retryable)(self.gate.deliver, notices, deliver)
            taken = True
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)  # a renewal would undo what comes now
            if not taken:
                await self._give_back(messages)
        await self._finish(messages)
        return notices.rescan

    def _read(self, message: M) -> Notices:
        try:
            return self.queue.read(message)
        except Rejected as error:
            excerpt = self.queue.excerpt(message)[:EXCERPT]
            return Notices(bad=[BadEvent("malformed", str(error), excerpt)])

    async def _keep(self, messages: Sequence[M]) -> None:
        await self.clock.sleep(self.queue.keep_first)
        while True:
            try:
                await self.queue.keep(messages)
            except SyncdError as error:  # where the lease runs out they come again
                log.warning("queue.renewal_failed", source=self.name, messages=len(messages), reason=str(error))
            await self.clock.sleep(self.queue.keep_every)

    async def _finish(self, messages: Sequence[M]) -> None:
        """With a few tries. What stays comes again, and says nothing new."""
        try:
            await self._patiently("queue.finish_failed", Retryable, tries=FINISH_TRIES)(self.queue.finish, messages)
        except SyncdError as error:
            log.warning("queue.finish_given_up", source=self.name, messages=len(messages), reason=str(error))

    async def _give_back(self, messages: Sequence[M]) -> None:
        with suppress(SyncdError, TimeoutError):  # else their lease runs out
            async with asyncio.timeout(GIVE_BACK_S):
                await self.queue.give_back(messages)

    def _patiently(self, event: str, errors: type[SyncdError], *, tries: float = math.inf) -> AsyncRetrying:
        def note(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            log.warning(event, source=self.name, attempt=state.attempt_number, reason=str(error))

        return AsyncRetrying(
            retry=retry_if_exception_type(errors),
            stop=lambda state: state.attempt_number >= tries,
            wait=_wait,
            sleep=self.clock.sleep,
            before_sleep=note,
            reraise=True,
        )


_exponential = wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S)


def _wait(state: RetryCallState) -> float:
    """As long as the other side wishes, else exponentially."""
    error = state.outcome.exception() if state.outcome else None
    wish = error.retry_after if isinstance(error, Retryable) else None
    return _exponential(state) if wish is None else wish


def _together(notices: Sequence[Notices]) -> Notices:
    ignored: Counter[str] = Counter()
    for one in notices:
        ignored.update(one.ignored)
    seen = [s for one in notices for s in one.seen]
    bad = [b for one in notices for b in one.bad]
    return Notices(seen, bad, ignored, rescan=any(one.rescan for one in notices))
