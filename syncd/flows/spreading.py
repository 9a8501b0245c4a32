"""From objects that are no tasks themselves to those that they concern: sidecars to objects, manifests to their rows.

Part of `ingest`, which comes to them last, when the tasks of its batch are recorded. It only marks; what is marked is
settled by `ingest` as any other object. Cost: for a sidecar one query, for a manifest one reading of it and of the
records of its rows.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Protocol, cast

import structlog

from syncd.domain.errors import Rejected, SyncdError
from syncd.domain.layout import ROWS, Role, row_of
from syncd.domain.model import Claim, Kind, Mark, ObjectRef, Observation, Outcome, Record, Settlement, Subject
from syncd.flows.context import Dataset
from syncd.flows.merge import in_batches, merge_join
from syncd.ports import ObjectStore, Seen

log = structlog.get_logger()

BATCH = 1_000


class RowStore(ObjectStore, Protocol):
    """The rows of a bucket's manifests, as objects."""

    def rows(self, manifest: str) -> AsyncIterator[Sequence[Seen]]:
        """Pages of the rows of one manifest, in key order; none where it is gone. Rejected: it cannot be read."""
        ...


def spreads(dataset: Dataset, ref: ObjectRef) -> bool:
    """Whether an object is no task itself, but concerns others."""
    return dataset.role(ref) in (Role.SIDECAR, Role.MANIFEST)


async def spread(dataset: Dataset, claim: Claim, ref: ObjectRef) -> Settlement:
    """Mark what the claimed object concerns. What cannot be read is a dead letter, and nothing is marked for it."""
    try:
        if dataset.role(ref) is Role.SIDECAR:
            marked = await _described(dataset, ref)
        else:
            marked = await _rows(dataset, ref)
    except SyncdError as error:
        outcome = Outcome.DEAD if isinstance(error, Rejected) else Outcome.AGAIN
        return Settlement(claim, outcome, str(error), cause=error.cause)
    log.info("object.spread", dataset=dataset.name, key=ref.key, marked=marked)
    return Settlement(claim, Outcome.DONE, f"{marked} tasks concerned")


async def _described(dataset: Dataset, sidecar: ObjectRef) -> int:
    """Mark the objects that a sidecar describes: those that have tasks, else those that are there."""
    layout = dataset.layout
    keys = layout.sidecar.objects(sidecar.key, layout.limits.suffixes) if layout.sidecar else []
    refs = [ref for key in keys if dataset.wants(ref := ObjectRef(sidecar.bucket, key))]
    found = list(await dataset.state.records(dataset.name, refs)) or await _there(dataset, refs)
    await dataset.state.mark([Mark(_subject(dataset, ref)) for ref in found])
    return len(found)


async def _there(dataset: Dataset, refs: Sequence[ObjectRef]) -> list[ObjectRef]:
    looks = await asyncio.gather(*(dataset.bases[ref.bucket].head(ref.key) for ref in refs))
    return [ref for ref, seen in zip(refs, looks, strict=True) if not seen.gone]


async def _rows(dataset: Dataset, manifest: ObjectRef) -> int:
    """Mark the rows that came, changed or left; dead letters too: the manifest they failed in may have come back."""
    marked = 0
    async with aclosing(in_batches(_differences(dataset, manifest), BATCH)) as batches:
        async for batch in batches:
            await dataset.state.mark([Mark(_subject(dataset, ref), seen) for ref, seen in batch])
            marked += len(batch)
    return marked


async def _differences(dataset: Dataset, manifest: ObjectRef) -> AsyncGenerator[Seen]:
    """The rows of which the manifest and our records disagree, in key order."""
    store = cast("RowStore", dataset.stores[ROWS + manifest.bucket])
    started = dataset.clock.now()
    ours = _records(dataset, store.bucket, manifest.key)
    pairs = merge_join(store.rows(manifest.key), ours, lambda s: s[0].key.encode(), lambda r: r.ref.key.encode())
    async with aclosing(pairs):
        async for listed, known in pairs:
            ref, seen = listed[0] if listed else (known[0].ref, Observation(started, gone=True))
            planned = dataset.plan(ref, seen, known)
            if planned.place or planned.restore or planned.retire:
                yield ref, seen


async def _records(dataset: Dataset, bucket: str, manifest: str) -> AsyncGenerator[Sequence[Record]]:
    """Pages of the records of one manifest's rows."""
    behind = f"{manifest}#"
    async for page in dataset.state.walk(dataset.name, bucket, after=behind):
        ours = [record for record in page if row_of(record.ref.key)[0] == manifest]
        if ours:
            yield ours
        if not page[-1].ref.key.startswith(behind):
            return


def _subject(dataset: Dataset, ref: ObjectRef) -> Subject:
    return Subject(Kind.OBJECT, dataset.name, ref.id)
