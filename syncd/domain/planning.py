"""Decisions as pure functions: which of two observations is newer, and what to do about an object.

`flows/ingest` applies what is planned here; `flows/reconcile` marks only what has a plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from syncd.domain.model import ObjectRef, Observation, Placement, Record, TaskState, task_key


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
    """What to do about one object: at most one task to place, any number to retire or to put back into work."""

    place: Placement | None = None
    retire: tuple[Record, ...] = ()
    restore: tuple[Record, ...] = ()
    reason: str = ""


def newer(known: Observation | None, seen: Observation | None) -> Observation | None:
    """The one of two observations of a key that is to be believed.

    Sequencers decide where both have one (S3's rule: right-pad the shorter with zeros, compare as text);
    an equal sequencer is the same event again. Otherwise the later sight wins.
    """
    if known is None or seen is None:
        return seen or known
    if known.sequencer and seen.sequencer:
        width = max(len(known.sequencer), len(seen.sequencer))
        left, right = known.sequencer.ljust(width, "0"), seen.sequencer.ljust(width, "0")
        return known if left > right else seen
    return known if known.observed_at > seen.observed_at else seen


def plan(dataset: str, ref: ObjectRef, seen: Observation, records: Sequence[Record], policy: Policy) -> Plan:
    """What to do about `ref`, given what was seen and every record we hold of it (any order)."""
    active = tuple(r for r in records if r.state is TaskState.ACTIVE)
    if seen.gone:
        return _plan_gone(active, policy)
    same = {r.state: r for r in records if r.version == seen.version}
    replaces = policy.on_change is OnChange.REPLACE
    stale = tuple(r for r in active if r.version != seen.version) if replaces else ()
    if TaskState.ACTIVE in same:
        return Plan(retire=stale, reason="has its task")
    if TaskState.DISCARDED in same:
        return Plan(reason="its task was deleted in the annotator")
    if TaskState.RETIRED in same:  # the object came back, and a person's work on exactly this version is still there
        return Plan(restore=(same[TaskState.RETIRED],), retire=stale, reason="object is back")
    if active and policy.on_change is OnChange.IGNORE:
        return Plan(reason="change ignored by policy")
    reason = "object changed" if active else "new object"
    return Plan(place=_placement(dataset, ref, seen, records), retire=stale, reason=reason)


def _plan_gone(active: tuple[Record, ...], policy: Policy) -> Plan:
    if not active:
        return Plan(reason="gone before it had a task")
    if policy.on_delete is OnDelete.KEEP:
        return Plan(reason="deletion ignored by policy")
    return Plan(retire=active, reason="object deleted")


def _placement(dataset: str, ref: ObjectRef, seen: Observation, records: Sequence[Record]) -> Placement:
    serial = max((r.serial for r in records), default=-1) + 1
    key = task_key(dataset, ref, seen.version, serial)
    return Placement(ref, key, seen.etag, seen.version_id, seen.size, serial)
