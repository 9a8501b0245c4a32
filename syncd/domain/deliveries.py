"""Deliveries: one event on its way to one trigger's target, and the log of the tries.

Made by `flows/announce`, tried by `flows/deliver`, kept by the state store, shown by `syncd deliveries`. Whether
one waits or was given up is not stored: it follows from its subject in the set of subjects.
"""

from dataclasses import dataclass
from enum import StrEnum

from syncd.domain.model import JsonObject, Kind, Subject

ATTEMPTS_KEPT = 50
"""The log holds the last so many tries: more than one day of retries needs."""


class Status(StrEnum):
    """Where a delivery stands. PASSED_OVER: a condition does not hold (yet); FAILED: given up, or dropped by hand."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    PASSED_OVER = "passed-over"


class Verdict(StrEnum):
    """What a target says of one try. FAILED: again later; REFUSED: never again; BUSY: it was not tried yet."""

    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try, without secrets: `outcome` in a few words, `excerpt` of what the target said.

    `output`: path of a file with all it said; empty where there is none. `retry_after`: the target's own wish, in
    seconds.
    """

    verdict: Verdict
    outcome: str
    excerpt: str = ""
    output: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of the log: when (unix seconds), how long it took (s), and what came of it, as in `Answer`."""

    at: float
    seconds: float
    verdict: Verdict
    outcome: str
    excerpt: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one trigger. `event`: a CloudEvent, fixed when the delivery is made; its `id` is `id`.

    `passed_over`: why the trigger's conditions hold it back. `status` and `next_at` (unix seconds of the next try)
    are filled in by the state store when it is read.
    """

    id: str
    dataset: str
    trigger: str
    event: JsonObject
    created_at: float
    attempts: tuple[Attempt, ...] = ()
    passed_over: str | None = None
    status: Status = Status.WAITING
    next_at: float | None = None

    @property
    def subject(self) -> Subject:
        """What workers claim. Each trigger is a lane of its own: one that takes hours holds up no other."""
        return Subject(Kind.DELIVERY, lane_name(self.dataset, self.trigger), self.id)


def lane_name(dataset: str, trigger: str) -> str:
    """The dataset part of a delivery's subject. Neither name holds a slash."""
    return f"{dataset}/{trigger}"
