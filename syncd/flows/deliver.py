"""Deliveries to their targets: the flow for delivery subjects, a lane for each trigger.

Called by a worker with what is due for one trigger. At least once: a crash between the try and its settlement
repeats it, with the same event. The worker gives up what fails for a day; a target may say sooner that it is in vain.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from syncd.domain.deliveries import Answer, Attempt, Delivery, Verdict
from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.domain.model import Claim, Outcome, Settlement
from syncd.ports import Clock, StateStore, Trigger

log = structlog.get_logger()

LONG_S = 5.0
"""A try that took longer, such as a training, is settled before the next one begins."""
REST_S = 5.0
"""When one fails, the others of its trigger wait so long without counting it as a failure of theirs."""
BUSY_S = 10.0
UNCONFIGURED_S = 300.0


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Delivers for all triggers.

    `triggers`: by `lane_name`. `wait`: failed tries before this one → seconds until the next, which a target may
    wish longer, but not shorter.
    """

    state: StateStore
    clock: Clock
    triggers: Mapping[str, Trigger]
    wait: Callable[[int], float]

    async def deliver(self, lane: str, claims: Sequence[Claim]) -> list[Settlement]:
        """Try one after the other, in the order they became due, until one fails.

        The others then have their turn while that one waits. Deliveries of a trigger that is not configured wait: it
        may come back.
        """
        trigger = self.triggers.get(lane)
        if trigger is None:
            return [_later(claim, f"trigger {lane} is not configured", UNCONFIGURED_S) for claim in claims]
        waiting = deque(claims)
        settlements: list[Settlement] = []
        rest = 0.0
        while waiting:
            started = self.clock.now()
            settlement = await self._settled(trigger, waiting.popleft())
            settlements.append(settlement)
            rest = 0.0 if settlement.outcome is Outcome.DONE else REST_S
            if rest or self.clock.now() - started > LONG_S:
                break
        return settlements + [_later(claim, "waits for its turn", rest) for claim in waiting]

    async def _settled(self, trigger: Trigger, claim: Claim) -> Settlement:
        delivery = await self.state.delivery(claim.subject.id)
        if delivery is None:  # forgotten meanwhile
            return Settlement(claim, Outcome.DONE)
        started = self.clock.now()
        try:
            answer = await _answer(trigger, delivery)
        except asyncio.CancelledError:
            await self._note(delivery, started, Answer(Verdict.FAILED, "ended with the daemon; comes again"))
            raise
        if answer.verdict is Verdict.BUSY:
            return _later(claim, answer.outcome, BUSY_S)
        await self._note(delivery, started, answer)
        return self._verdict(claim, answer, trigger.target.attempts)

    def _verdict(self, claim: Claim, answer: Answer, attempts: int | None) -> Settlement:
        if answer.verdict is Verdict.DELIVERED:
            return Settlement(claim, Outcome.DONE)
        in_vain = attempts is not None and claim.attempts + 1 >= attempts
        if answer.verdict is Verdict.REFUSED or in_vain:
            return Settlement(claim, Outcome.DEAD, answer.outcome)
        delay = max(answer.retry_after or 0.0, self.wait(claim.attempts))
        return Settlement(claim, Outcome.AGAIN, answer.outcome, delay=delay)

    async def _note(self, delivery: Delivery, started: float, answer: Answer) -> None:
        """Into the delivery's log, and ours."""
        seconds = self.clock.now() - started
        attempt = Attempt(started, seconds, answer.verdict, answer.outcome, answer.excerpt, answer.output)
        await self.state.attempted(delivery.id, attempt)
        known = {"delivery": delivery.id, "outcome": answer.outcome, "seconds": round(seconds, 3)}
        if answer.verdict is Verdict.DELIVERED:
            log.info("delivery.succeeded", **known)
        else:
            log.warning("delivery.failed", **known)


async def _answer(trigger: Trigger, delivery: Delivery) -> Answer:
    try:
        return await trigger.target.deliver(delivery.event)
    except Rejected as error:
        return Answer(Verdict.REFUSED, str(error))
    except SyncdError as error:
        wish = error.retry_after if isinstance(error, Retryable) else None
        return Answer(Verdict.FAILED, str(error), retry_after=wish)


def _later(claim: Claim, reason: str, delay: float) -> Settlement:
    return Settlement(claim, Outcome.AGAIN, reason, delay=delay, failed=False)
