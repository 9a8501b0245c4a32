"""Decisions as pure functions: what to believe of two observations, and what to do about an object.

`flows/ingest` applies what is planned here; `flows/reconcile` marks only what has a plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from syncd.domain import sequencers
from syncd.domain.model import ObjectRef, Observation, Placement, Record, TaskState, Versioned, task_key


class OnChange(StrEnum):
    """What an overwritten object means for its task."""

    NEW_TASK = "new-task"
    REPLACE = "replace"
    IGNORE = "ignore"


class OnDelete(StrEnum):
    """What a deleted object means for its task."""

    KEEP = "keep"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Policy:
    """A dataset's answers to changed and deleted objects."""

    on_change: OnChange = OnChange.NEW_TASK
    on_delete: OnDelete = OnDelete.KEEP


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one object: at most one task to place, any number to retire or to put back into work.

    `vanished`: it is gone, and never had a task. `unfinished`: what else to do can only be said when this is done.
    """

    place: Placement | None = None
    retire: tuple[Record, ...] = ()
    restore: tuple[Record, ...] = ()
    reason: str = ""
    vanished: bool = False
    unfinished: bool = False


def newer(known: Observation | None, seen: Observation | None) -> Observation | None:
    """What to believe of a key after two observations of it.

    Sequencers decide where both have one. Where no order is known, two that agree are one, and of two that do not
    neither is believed: what is left says "look at the object", for clocks jump and events come late. A sequencer
    that was seen is kept, so that what is older than it stays known as old.
    """
    if known is None or seen is None:
        return seen or known
    if ordered := order(known, seen):
        if ordered < 0 and _is_look(known):  # what asked for the look may have happened after both
            return Observation(seen.observed_at, sequencer=seen.sequencer)
        return known if ordered > 0 else seen
    earlier, latest = (seen, known) if known.observed_at > seen.observed_at else (known, seen)
    if agree(known, seen):
        # of two senders' counts the first is kept: changing between them would make what is old look new
        return replace(_with_what_it_lacks(latest, earlier), sequencer=known.sequencer or seen.sequencer)
    return Observation(latest.observed_at, sequencer=known.sequencer or seen.sequencer)


def _is_look(seen: Observation) -> bool:
    """Whether it says no more than: look at the object."""
    return not seen.gone and seen.version is None


def _with_what_it_lacks(latest: Observation, earlier: Observation) -> Observation:
    """Of one version, the later sight; a listing knows no version id, an event perhaps no size."""
    return replace(
        latest,
        etag=latest.etag or earlier.etag,
        version_id=latest.version_id or earlier.version_id,
        size=earlier.size if latest.size is None else latest.size,
    )


def says_nothing_new(known: Observation, seen: Observation) -> bool:
    """Whether an observation is older than one that was acted upon, or the same event again. False: no order known."""
    ordered = order(known, seen)
    return ordered is not None and (ordered > 0 or (ordered == 0 and agree(known, seen)))


def agree(one: Observation, other: Observation) -> bool:
    """Whether two observations are of the same version, or of none."""
    return one.gone == other.gone and same_version(one, other)


def of_another(seen: Observation) -> Observation:
    """What the sight of an object says of something that is made of it: look at it, since then it may be another."""
    return Observation(seen.observed_at)


def same_version(one: Observation | Record, other: Observation | Record) -> bool:
    """Whether two are of one version: by version id where both have one, else by etag; listings have no version ids.

    So have to be their parts, each of its own.
    """
    if not same_bytes(one, other) or len(one.parts) != len(other.parts):
        return False
    theirs = {part.name: part for part in other.parts}
    return all(part.name in theirs and same_bytes(part, theirs[part.name]) for part in one.parts)


def same_bytes(one: Versioned, other: Versioned) -> bool:
    """The same of one object alone, whatever else it is made of."""
    if one.version_id and other.version_id:
        return one.version_id == other.version_id
    return one.etag == other.etag and (one.etag is not None or one.version_id == other.version_id)


def order(known: Observation, seen: Observation) -> int | None:
    """Above 0: known is the newer; 0: one event; None: no order known, or the two senders count differently."""
    return sequencers.order(known.sequencer, seen.sequencer) if known.sequencer and seen.sequencer else None


def plan(dataset: str, ref: ObjectRef, seen: Observation, records: Sequence[Record], policy: Policy) -> Plan:
    """What to do about `ref`, given what was seen and every record we hold of it (any order)."""
    if not records and not seen.gone:  # as nearly always: nothing else to weigh
        return Plan(place=_placement(dataset, ref, seen, ()), reason="new object")
    if doubted := tuple(r for r in records if r.state is TaskState.IN_DOUBT):
        return Plan(retire=doubted, reason="object deleted" if seen.gone else "object changed", unfinished=True)
    active = tuple(r for r in records if r.state is TaskState.ACTIVE)
    if seen.gone:
        return _plan_gone(active, policy) if records else Plan(reason="gone before it had a task", vanished=True)
    return _plan_there(seen, records, active, policy) or Plan(
        place=_placement(dataset, ref, seen, records),
        retire=_stale(seen, active, policy),
        reason="object changed" if active else "new object",
    )


def _plan_there(
    seen: Observation, records: Sequence[Record], active: tuple[Record, ...], policy: Policy
) -> Plan | None:
    """What to do where the version that was seen needs no new task; None: it does."""
    same, stale = {r.state: r for r in records if same_version(r, seen)}, _stale(seen, active, policy)
    if TaskState.ACTIVE in same:
        return Plan(retire=stale, reason="has its task")
    if TaskState.DISCARDED in same:
        return Plan(retire=stale, reason="its task was deleted in the annotator")
    if active and policy.on_change is OnChange.IGNORE:
        return Plan(reason="change ignored by policy")
    if TaskState.RETIRED in same:  # the object came back, and a person's work on exactly this version is still there
        return Plan(restore=(same[TaskState.RETIRED],), retire=stale, reason="object is back")
    return None


def _stale(seen: Observation, active: Sequence[Record], policy: Policy) -> tuple[Record, ...]:
    """Those in work whose version is replaced by the one that was seen."""
    return tuple(r for r in active if policy.on_change is OnChange.REPLACE and not same_version(r, seen))


def _plan_gone(active: tuple[Record, ...], policy: Policy) -> Plan:
    if not active:
        return Plan(reason="gone, and so is its task")
    if policy.on_delete is OnDelete.KEEP:
        return Plan(reason="deletion ignored by policy")
    return Plan(retire=active, reason="object deleted")


def _placement(dataset: str, ref: ObjectRef, seen: Observation, records: Sequence[Record]) -> Placement:
    serial = max((r.serial for r in records), default=-1) + 1
    key = task_key(dataset, ref, seen.version, serial)
    return Placement(ref, key, seen.etag, seen.version_id, seen.size, serial, seen.parts)
