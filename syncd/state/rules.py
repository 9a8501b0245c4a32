"""What a mark, a claim and a settlement do to one subject: the rules, as pure functions of values.

Both state stores apply these and differ only in where an `Entry` lives. Times are unix seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from syncd.domain.deliveries import ATTEMPTS_KEPT, Attempt, Delivery, Status, Verdict
from syncd.domain.errors import Conflict
from syncd.domain.model import (
    Claim,
    DeadLetter,
    Mark,
    Observation,
    Outcome,
    Settlement,
    StagedChange,
    Subject,
    digest,
)
from syncd.domain.notifications import EXCERPT, BadEvent
from syncd.domain.planning import agree, newer, order, says_nothing_new
from syncd.ports import Quarantined

TRACES_KEPT = 16
"""Traces of marks that a subject remembers: the first, for work goes on in it, and those that came last."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A subject in the set. `token` is set while it is claimed; `lease_until` is when that claim lapses.

    `gone_at`: when it was settled as vanished. Nothing is to be done then; the entry is a tombstone, by which a late
    event of before is known as old. `traces`: those of its marks, a space between.
    """

    subject: Subject
    generation: int
    due_at: float
    first_marked_at: float
    observation: Observation | None = None
    attempts: int = 0
    failing_since: float | None = None
    lease_until: float | None = None
    token: str = ""
    dead_at: float | None = None
    reason: str = ""
    gone_at: float | None = None
    traces: str | None = None

    @property
    def ready_at(self) -> float | None:
        """From when on it can be claimed; None: never, it is dead or a tombstone."""
        if self.dead_at is not None or self.gone_at is not None:
            return None
        return self.due_at if self.lease_until is None else max(self.due_at, self.lease_until)


def marked(entry: Entry | None, mark: Mark, now: float) -> Entry:
    """The entry after a mark. A running claim keeps its lease: the generation tells its settlement."""
    due_at = now + mark.delay
    if entry is None:
        return Entry(mark.subject, 1, due_at, now, mark.observation, traces=mark.trace)
    if _changes_nothing(entry, mark):
        return entry
    waits = entry.ready_at is not None
    alive = entry if waits else revived(entry, now)
    return replace(
        alive,
        generation=entry.generation + 1,
        due_at=min(entry.due_at, due_at) if waits and not mark.postpone else due_at,
        observation=_believed(entry, mark.observation),
        attempts=0,
        failing_since=None,
        traces=_traced(alive, mark.trace),
    )


def _traced(entry: Entry, trace: str | None) -> str | None:
    known = entry.traces.split(" ") if entry.traces else []
    if trace is None or trace in known:
        return entry.traces
    if len(known) == TRACES_KEPT:
        del known[1]
    return " ".join([*known, trace])


def _changes_nothing(entry: Entry, mark: Mark) -> bool:
    """Whether the mark leaves a dead subject, or a tombstone, as it is."""
    known, seen = entry.observation, mark.observation
    if entry.gone_at is not None:
        return bool(known and seen and says_nothing_new(known, seen))
    return entry.dead_at is not None and not mark.revive and _same(known, seen)


def _same(known: Observation | None, seen: Observation | None) -> bool:
    """Whether two observations are of the same version, or of none."""
    return known is seen if known is None or seen is None else agree(known, seen)


def _believed(entry: Entry, seen: Observation | None) -> Observation | None:
    """What is known of the object after a mark.

    A dead one's observation was acted upon: where no order is known, what was seen since counts. To a tombstone all
    news say "look at the object": of what was told without an order before, the order is not known.
    """
    known = entry.observation
    if known is None:
        return seen
    if entry.gone_at is not None:
        latest = newer(known, seen) or known
        return Observation(latest.observed_at, sequencer=latest.sequencer)
    if entry.dead_at is not None and seen is not None and order(known, seen) is None:
        return replace(seen, sequencer=seen.sequencer or known.sequencer)
    return newer(known, seen)


def claimed(entry: Entry, token: str, until: float) -> Entry:
    """The entry under a claim."""
    return replace(entry, token=token, lease_until=until)


def claim_of(entry: Entry, token: str) -> Claim:
    """An entry as the holder of its claim sees it."""
    traces = tuple(entry.traces.split(" ")) if entry.traces else ()
    tried = (entry.attempts, entry.failing_since)
    return Claim(entry.subject, entry.generation, entry.observation, *tried, token, entry.first_marked_at, traces)


def held(entry: Entry | None, claim: Claim) -> bool:
    """Whether the claim still holds the entry. A lapsed one does until somebody else claims it."""
    return entry is not None and bool(claim.token) and entry.token == claim.token


def all_held(entries: Mapping[Subject, Entry], claims: Sequence[Claim]) -> bool:
    """Whether there are claims, and all of them hold their subjects."""
    return bool(claims) and all(held(entries.get(claim.subject), claim) for claim in claims)


def require_held(entries: Mapping[Subject, Entry], claims: Sequence[Claim]) -> None:
    """Conflict where one of the claims was lost."""
    require_all([claim for claim in claims if held(entries.get(claim.subject), claim)], claims)


def require_all(still_held: Sequence[Claim], claims: Sequence[Claim]) -> None:
    """The same, of those that are still held."""
    if lost := len(claims) - len(still_held):
        raise Conflict(f"{lost} of {len(claims)} claims were lost to another process while this one stood still")


def settled(entry: Entry, settlement: Settlement, now: float) -> Entry | None:
    """The entry after its claim was settled; None when it leaves the set."""
    unmarked = entry.generation == settlement.claim.generation
    if unmarked and settlement.outcome is Outcome.DONE and not settlement.vanished:
        return None
    free = replace(entry, token="", lease_until=None)
    if not unmarked:
        return _marked_meanwhile(free, settlement, now)
    if settlement.outcome is Outcome.DONE:
        return _tombstone(free, now)
    if settlement.failed:
        since = now if entry.failing_since is None else entry.failing_since
        free = replace(free, attempts=entry.attempts + 1, failing_since=since)
    if settlement.outcome is Outcome.DEAD:
        return replace(free, dead_at=now, reason=_storable(settlement.reason))
    return replace(free, due_at=now + settlement.delay, reason=_storable(settlement.reason))


def _storable(text: str) -> str:
    """A text for people, whatever others put into it: no database takes lone surrogates, PostgreSQL no NUL either."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _tombstone(free: Entry, now: float) -> Entry:
    """What is left of an object that vanished: up to which of its events nothing is news."""
    seen = free.observation
    known = Observation(seen.observed_at if seen else now, sequencer=seen.sequencer if seen else None, gone=True)
    return replace(free, observation=known, gone_at=now, attempts=0, failing_since=None, reason="", traces=None)


def _marked_meanwhile(free: Entry, settlement: Settlement, now: float) -> Entry:
    """The mark stands, at the time it asked for; after a success the wait is a new one.

    It had its turn: others that are due go first, or those that are marked all the time would let nobody through.
    """
    free = replace(free, due_at=max(free.due_at, now))
    if settlement.outcome is not Outcome.DONE:
        return free
    new = [trace for trace in (free.traces or "").split(" ") if trace and trace not in settlement.claim.traces]
    return replace(free, first_marked_at=now, traces=" ".join(new) or None)


def revived(entry: Entry, now: float) -> Entry:
    """A dead entry, or a tombstone, due and waiting anew, its failures forgotten."""
    fresh = replace(entry, due_at=now, first_marked_at=now, attempts=0, failing_since=None)
    return replace(fresh, dead_at=None, gone_at=None, reason="", traces=None)


def dead_letter(entry: Entry) -> DeadLetter:
    """A dead entry as it is shown to people."""
    return DeadLetter(entry.subject, entry.reason, entry.dead_at or 0.0, entry.attempts)


def task_order(task_id: str) -> tuple[int, str]:
    """Sorts task ids by number; those that are none come first, by text."""
    return (int(task_id) if task_id.isdecimal() and len(task_id) <= 18 else 0, task_id)


def newest(changes: Sequence[StagedChange]) -> list[StagedChange]:
    """The last change of each annotation, in their order."""
    last = {change.annotation_id: index for index, change in enumerate(changes)}
    return [changes[index] for index in sorted(last.values())]


# ---------------------------------------------------------------- deliveries


def announced(known: Mapping[str, Delivery], new: Sequence[Delivery]) -> list[Delivery]:
    """The deliveries to write, each once. One that is known stays; but one that was passed over is written anew."""
    after = dict(known)
    for delivery in new:
        there = after.get(delivery.id)
        if there is None or there.passed_over not in (None, delivery.passed_over):
            after[delivery.id] = delivery
    return [delivery for id_, delivery in after.items() if known.get(id_) is not delivery]


def redelivered(delivery: Delivery) -> Delivery:
    """The delivery once it was asked for by hand, whatever its trigger's conditions say."""
    return replace(delivery, passed_over=None)


def attempted(delivery: Delivery, attempt: Attempt) -> Delivery:
    """The delivery with one more entry in its log."""
    return replace(delivery, attempts=(*delivery.attempts, attempt)[-ATTEMPTS_KEPT:])


def shown(delivery: Delivery, due_at: float | None, dead: bool) -> Delivery:
    """The delivery as it is read. `due_at`: of its subject, None where that has left the set."""
    if due_at is not None and not dead:
        return replace(delivery, status=Status.WAITING, next_at=due_at)
    return replace(delivery, status=_status(delivery, dead), next_at=None)


def _status(delivery: Delivery, dead: bool) -> Status:
    """Of one that does not wait. Without a subject and undelivered: its dead letter was dropped by hand."""
    if dead:
        return Status.FAILED
    if delivery.passed_over is not None:
        return Status.PASSED_OVER
    delivered = delivery.attempts and delivery.attempts[-1].verdict is Verdict.DELIVERED
    return Status.DELIVERED if delivered else Status.FAILED


def belongs(subject: Subject, dataset: str) -> bool:
    """Whether a subject is of a dataset; deliveries are of a lane below it."""
    return subject.dataset.partition("/")[0] == dataset


# ---------------------------------------------------------------- bad events


def quarantine_id(source: str, event: BadEvent) -> str:
    """What makes two bad events one: 16 hex digits, of source, reason and excerpt."""
    return digest("\n".join((source, event.reason, event.excerpt.hex())))[:16]


def quarantined(
    known: Mapping[str, Quarantined], source: str, bad: Sequence[BadEvent], now: float
) -> list[Quarantined]:
    """The entries to write, each once, given those that are known by their ids."""
    after: dict[str, Quarantined] = {}
    for event in bad:
        id_ = quarantine_id(source, event)
        there = after.get(id_) or known.get(id_)
        count, first_at = (there.count + 1, there.first_at) if there else (1, now)
        detail = _storable(event.detail)
        after[id_] = Quarantined(id_, source, event.reason, detail, event.excerpt[:EXCERPT], count, first_at, now)
    return list(after.values())
