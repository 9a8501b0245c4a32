"""The long time scale of retry: how long to wait after a failure, and when to give up. Seconds belong to the adapters.

Used by `worker`. Decides from values only; the random part of a wait is drawn here.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from syncd.domain.errors import ConfigError, Conflict, Rejected, Retryable, SyncdError
from syncd.domain.model import Claim, Outcome, Settlement

SUSPECT_AFTER = 3
"""Failed tries after which a whole batch may be failing because of one of its subjects."""
DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds: the first wait, the longest wait, and after how long failing a subject is given up.

    `outlasts_outages`: it is given up only when others of its lane succeeded meanwhile. Objects and tasks have to
    arrive, however long their annotator is down; an event for somebody else's endpoint is stale after a day.
    """

    first: float = 1.0
    longest: float = 60.0
    give_up_after: float = 3 * 24 * 3600.0
    outlasts_outages: bool = True

    def delay(self, attempts: int) -> float:
        """The wait after so many failed tries, spread over the upper half of twice the last one."""
        whole = min(self.longest, self.first * 2.0 ** min(attempts, 30))
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def share(self, claims: Sequence[Claim], error: SyncdError) -> list[Settlement]:
        """One error of a whole batch, for each of its claims. They stay a batch, because they get one delay."""
        why, cause = str(error), error.cause
        if isinstance(error, Rejected):
            return [Settlement(claim, Outcome.DEAD, why, cause=cause) for claim in claims]
        if isinstance(error, Conflict):
            return [Settlement(claim, Outcome.AGAIN, why, failed=False, cause=cause) for claim in claims]
        wish = error.retry_after if isinstance(error, Retryable) else None
        # a token revoked or a project gone while running is mended by a person, without a restart
        attempts = 30 if isinstance(error, ConfigError) else min(claim.attempts for claim in claims)
        delay = max(wish or 0.0, self.delay(attempts))
        return [Settlement(claim, Outcome.AGAIN, why, delay=delay, cause=cause) for claim in claims]

    def timed(self, settlement: Settlement, now: float, others_succeeded: float) -> Settlement:
        """Give a failed try its wait, or up when it has failed for too long while others of its lane did not.

        `others_succeeded`: when that was last, unix seconds. Without it the other side is down, and an outage
        kills no subject that `outlasts_outages`, however long it lasts.
        """
        if settlement.outcome is not Outcome.AGAIN or not settlement.failed:
            return settlement
        since = settlement.claim.failing_since
        failed_long = since is not None and now - since > self.give_up_after
        if failed_long and (not self.outlasts_outages or others_succeeded > (since or 0.0)):
            return replace(settlement, outcome=Outcome.DEAD)
        return replace(settlement, delay=settlement.delay or self.delay(settlement.claim.attempts))


def splits(claims: Sequence[Claim]) -> int:
    """How often a batch that fails as a whole is halved to find the one it fails for.

    None at first: then the other side is down, and every half costs another try of it.
    """
    return max(0, min(DEEPEST, min(claim.attempts for claim in claims) - SUSPECT_AFTER + 1))
