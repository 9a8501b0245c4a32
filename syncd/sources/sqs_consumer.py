"""The work on one queue: receive, read, deliver, delete; what is slow stays hidden, what is left goes back.

Made by `sources.sqs` for each run. Several jobs share a `Flight`: pollers that receive, one that delivers, some that
delete in batches gathered over several receives, and one that renews the hiding. A message is deleted only after
`deliver` returned with what it said. While it raises Retryable, messages are held, and no more are received than fit:
handing them back would use up the receives after which the queue moves them to its dead letters.
Limits: a cancelled receive may leave messages hidden until their visibility ends.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from syncd.domain.errors import ConfigError, Rejected, Retryable, SyncdError
from syncd.domain.notifications import EXCERPT, BadEvent, Notices
from syncd.ports import Clock, Deliver
from syncd.sources.gate import Gate
from syncd.sources.sqs_flight import Flight, Held, Line, tens
from syncd.sources.sqs_queue import TEN, Message, Queue

log = structlog.get_logger()

GATHER = 0.005
"""Seconds in which messages gather for one delivery, or for one deletion."""
FIRST_DELAY, LONGEST_DELAY = 0.2, 20.0
MEND_EVERY = 30.0
"""Seconds between two looks whether what a person has to mend is mended."""
GIVE_BACK_WITHIN = 3.0
DELETE_TRIES = 5

_exponential = wait_random_exponential(multiplier=FIRST_DELAY, max=LONGEST_DELAY)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a queue is read; in seconds and counts, as the options of `sources.sqs` say."""

    pollers: int
    wait: int
    visibility: int
    heartbeat: float
    batch: int
    in_flight: int
    hold: float


@dataclass(eq=False)
class Consumer:
    """Reads one queue. `parse` is pure, and raises Rejected for what can never become valid.

    `degraded`: what a person has to mend while nothing can be received; empty while all is well.
    """

    queue: Queue
    gate: Gate
    parse: Callable[[bytes, float], Notices]
    pace: Pace
    clock: Clock
    source: str
    degraded: str = ""

    def __post_init__(self) -> None:
        """What the jobs share."""
        self._log = log.bind(source=self.source)
        self._flight = Flight(self.pace.in_flight)
        self._inbox: Line[Held] = Line(self.clock)
        self._outbox: Line[Held] = Line(self.clock)

    async def consume(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """Until cancelled. What `deliver` raises and is no Retryable comes through."""
        try:
            async with asyncio.TaskGroup() as jobs:
                jobs.create_task(self._deliver_all(deliver))
                jobs.create_task(self._renew_all())
                for _ in range(self.pace.pollers):
                    jobs.create_task(self._poll(rescan))
                    jobs.create_task(self._delete_all())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await self._give_back()

    # ------------------------------------------------------------ receive

    async def _poll(self, rescan: Callable[[], None]) -> None:
        while True:
            await self._flight.reserve()
            held: list[Held] = []
            try:
                messages = await self._received(rescan)
                until = self.clock.now() + self.pace.visibility
                held = [Held(message, self._read(message), until) for message in messages]
            finally:
                self._flight.land(held)
            self._inbox.put(held)

    async def _received(self, rescan: Callable[[], None]) -> list[Message]:
        """What a person has to mend is waited for: others' work goes on. Events may be lost meanwhile."""
        receive = self._retrying("queue.receive_failed")
        try:
            messages: list[Message] = await receive(
                self.queue.receive, wait=self.pace.wait, visibility=self.pace.visibility
            )
        except (ConfigError, Rejected) as error:
            if not self.degraded:
                self._log.error("queue.refused", reason=str(error), retry_every=MEND_EVERY)
            self.degraded = str(error)
            await self.clock.sleep(MEND_EVERY)
            return []
        if self.degraded:
            self.degraded = ""
            self._log.info("queue.mended")
            rescan()
        return messages

    def _read(self, message: Message) -> Notices:
        """A message that can never become valid is kept for a person, and stops nobody."""
        try:
            return self.parse(message.body, self.clock.now())
        except Rejected as error:
            self._log.warning("message.rejected", message=message.id, reason=str(error))
            return Notices(bad=[BadEvent("malformed", str(error), message.body[:EXCERPT])])

    # ------------------------------------------------------------ deliver

    async def _deliver_all(self, deliver: Deliver) -> None:
        """One delivery at a time; what comes meanwhile gathers for the next."""
        while True:
            held = await self._inbox.take(self.pace.batch, GATHER)
            try:
                await self._delivered(held, deliver)
            except Retryable as error:
                await self._hand_back(held, error)
            else:
                for one in held:
                    one.delivered = True
                self._outbox.put(held)

    async def _delivered(self, held: Sequence[Held], deliver: Deliver) -> None:
        """Again while it is Retryable, for as long as messages are held."""
        end = self.clock.now() + self.pace.hold
        retrying = self._retrying("queue.delivery_failed", stop=lambda _: self.clock.now() >= end)
        for notices in _merged([one.notices for one in held], self.pace.batch):
            await retrying(self.gate.deliver, notices, deliver)

    async def _hand_back(self, held: Sequence[Held], error: Retryable) -> None:
        """Perhaps another host can do it; if not, they come again soon."""
        seconds = round(min(error.retry_after or LONGEST_DELAY * random.uniform(0.5, 1), self.pace.visibility))  # noqa: S311 - jitter
        self._log.warning("messages.handed_back", messages=len(held), seconds=seconds, reason=str(error))
        await self._hide([one.receipt for one in held], seconds)
        self._flight.drop(one.receipt for one in held)

    # ------------------------------------------------------------ hide

    async def _renew_all(self) -> None:
        """Every heartbeat, what would show again before the one after the next."""
        while True:
            await self.clock.sleep(self.pace.heartbeat)
            soon = self.clock.now() + 2 * self.pace.heartbeat
            due = [one for one in self._flight.all() if one.hidden_until is not None and one.hidden_until < soon]
            until = self.clock.now() + self.pace.visibility
            for receipt in await self._hide([one.receipt for one in due], self.pace.visibility):
                self._flight.renew(receipt, until)

    async def _hide(self, receipts: Sequence[str], seconds: int) -> set[str]:
        """Those that are hidden for so many seconds from now."""
        answers = await asyncio.gather(*(self._hide_ten(ten, seconds) for ten in tens(receipts)))
        return {receipt for answer in answers for receipt in answer}

    async def _hide_ten(self, receipts: Sequence[str], seconds: int) -> set[str]:
        try:
            failures = await self.queue.hide(receipts, seconds)
        except SyncdError as error:
            self._log.warning("messages.hiding_failed", messages=len(receipts), reason=str(error))
            return set()
        self._flight.expose(failures.stale)
        return set(receipts) - {*failures.stale, *failures.again}

    # ------------------------------------------------------------ delete

    async def _delete_all(self) -> None:
        while True:
            held = await self._outbox.take(TEN, GATHER)
            await self._delete([one.receipt for one in held])
            self._flight.drop(one.receipt for one in held)

    async def _delete(self, receipts: Sequence[str]) -> None:
        """What cannot be deleted comes again, and changes nothing then: its marks are there already."""
        retrying = self._retrying("messages.deletion_failed", stop=stop_after_attempt(DELETE_TRIES))
        try:
            await retrying(self._delete_rest, list(receipts))
        except SyncdError as error:
            self._log.warning("messages.left", messages=len(receipts), reason=str(error))

    async def _delete_rest(self, receipts: list[str]) -> None:
        """Removes from the list what is done with, so that a second try is for the rest."""
        failures = await self.queue.delete(receipts)
        if failures.stale:
            self._log.info("receipts.stale", messages=len(failures.stale), reason="handed out again meanwhile")
        receipts[:] = failures.again
        if receipts:
            raise Retryable(f"{len(receipts)} messages of a batch could not be deleted")

    async def _give_back(self) -> None:
        """At the end: what was delivered is deleted, all else shows again at once."""
        left = self._flight.all()
        done = [one.receipt for one in left if one.delivered]
        other = [one.receipt for one in left if not one.delivered]
        try:
            async with asyncio.timeout(GIVE_BACK_WITHIN):
                await asyncio.gather(self._hide(other, 0), *(self.queue.delete(ten) for ten in tens(done)))
        except (SyncdError, TimeoutError) as error:
            self._log.info("messages.left", messages=len(left), reason=str(error) or "no answer in time")

    def _retrying(self, event: str, stop: Callable[[RetryCallState], bool] | None = None) -> AsyncRetrying:
        """Again while it is Retryable: as long as the other side wishes, else exponentially."""

        def told(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            self._log.warning(event, attempt=state.attempt_number, reason=str(error))

        return AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            wait=_wait,
            stop=stop or (lambda _: False),
            sleep=self.clock.sleep,
            before_sleep=told,
            reraise=True,
        )


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wish = error.retry_after if isinstance(error, Retryable) else None
    return _exponential(state) if wish is None else wish


def _merged(notices: Sequence[Notices], most: int) -> list[Notices]:
    """All that the messages said, in pieces of at most so many events; one, though perhaps empty, at least."""
    seen = [pair for one in notices for pair in one.seen]
    bad = [event for one in notices for event in one.bad]
    ignored = sum((Counter(one.ignored) for one in notices if one.ignored), Counter[str]())
    rest = [Notices(seen[start : start + most]) for start in range(most, len(seen), most)]
    return [Notices(seen[:most], bad, ignored), *rest]
