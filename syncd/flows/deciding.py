"""What to do about objects, by what was told of them or by a look at them. Part of `ingest`.

A look costs a request, so there is none where an event says enough; those that are needed are taken side by side.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from syncd.domain.errors import Rejected, SyncdError
from syncd.domain.layout import ROWS
from syncd.domain.model import Claim, ObjectRef, Observation, Record, TaskState
from syncd.domain.planning import Plan
from syncd.flows.context import Dataset

LOOK_AGAIN_S = 1.0
LOOKS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be planned yet: look again after `delay` seconds."""

    reason: str
    delay: float = LOOK_AGAIN_S


Decision = Plan | Wait | SyncdError


async def decide(dataset: Dataset, objects: Sequence[tuple[Claim, ObjectRef]]) -> list[Decision]:
    """A decision for each object, in their order; the trouble with it instead, where there is any."""
    records = await dataset.state.records(dataset.name, [ref for _, ref in objects])
    gate = asyncio.Semaphore(LOOKS_AT_ONCE)
    decided: dict[int, Decision] = {}
    looks: list[int] = []
    for index, (claim, ref) in enumerate(objects):
        planned = _by_what_was_told(dataset, ref, claim, records.get(ref, []))
        if planned is None:
            looks.append(index)
        else:
            decided[index] = planned
    looked = await asyncio.gather(
        *(_by_a_look(dataset, gate, ref, claim, records.get(ref, [])) for claim, ref in (objects[i] for i in looks))
    )
    decided.update(zip(looks, (decision for decision, _ in looked), strict=True))
    if learned := [change for _, of_one in looked for change in of_one]:
        await dataset.state.amend(learned)
    return [decided[index] for index in range(len(objects))]


def _by_what_was_told(dataset: Dataset, ref: ObjectRef, claim: Claim, records: Sequence[Record]) -> Plan | None:
    """Plan by what the event saw. None: a look is needed.

    What would change tasks that are there is never done on hearsay: an event may be late, doubled or reordered
    after a newer one was settled already. A new object costs no look; but one does after a failure, where its content
    goes into the task, for it may have been overwritten.
    """
    told = claim.observation
    if told is None or (claim.attempts and _carries_content(dataset, ref)) or not _says_enough(dataset, ref, told):
        return None
    planned = dataset.plan(ref, told, records)
    changes = planned.retire or (records and (planned.place or planned.restore))
    return None if changes else planned


def _says_enough(dataset: Dataset, ref: ObjectRef, told: Observation) -> bool:
    """Whether an event tells all that a plan asks for: no event knows of a sidecar, and some know no size."""
    if dataset.layout.sidecar and ref.bucket in dataset.bases:
        return False
    if told.gone:
        return told.sequencer is not None  # without an order it may be an old one
    return told.settled and told.version is not None and told.size is not None


async def _by_a_look(
    dataset: Dataset, gate: asyncio.Semaphore, ref: ObjectRef, claim: Claim, records: Sequence[Record]
) -> tuple[Decision, list[tuple[Record, Record]]]:
    """Plan by a look at the object; and what the look taught us of the records, before and after."""
    try:
        async with gate:
            seen = await dataset.store(ref.bucket).head(ref.key)
        if not seen.settled:
            return Wait("the object is still being written"), []
        missing = _missing(dataset, ref, claim.observation, seen, records)
        return missing or dataset.plan(ref, seen, records), _learned(seen, records)
    except SyncdError as error:
        return error, []


def _learned(seen: Observation, records: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Records of the version that is there, with the etag by which a listing, which has no version ids, tells it."""
    return [
        (record, replace(record, etag=seen.etag))
        for record in records
        if record.state is TaskState.ACTIVE and record.version_id and record.version_id == seen.version_id
        if seen.etag and record.etag != seen.etag
    ]


def _missing(
    dataset: Dataset, ref: ObjectRef, told: Observation | None, seen: Observation, records: Sequence[Record]
) -> Wait | None:
    """Wait for what a new task is to be made of. Rejected: a member of its group did not come in time."""
    missing, patience = dataset.layout.missing(ref, seen)
    if not missing or records:
        return None
    left = patience - (dataset.clock.now() - told.observed_at) if told else 0.0
    if left > 0:
        return Wait(f"waits for its {' and '.join(missing)}", min(left, patience))
    if seen.gone:
        raise Rejected(f"the group lacks its {' and '.join(missing)}; it becomes a task once that comes")
    return None


def _carries_content(dataset: Dataset, ref: ObjectRef) -> bool:
    """Whether a task holds what is in its object, such as text or a row, and not only where that is."""
    return ref.bucket.startswith(ROWS) or any(tag.inline for tag in dataset.config.objects.values())
