"""Objects into tasks: the flow for object subjects of one dataset.

Called by a worker with a batch of claims; returns a settlement for each. It compares what was seen with what we
did, plans purely, writes its intent, imports once, and records. A crash or a timeout between intent and record
leaves the intent: the next pass looks its marker up and adopts what is there. A process may prepare one batch while
it imports another one; what it imports itself is not looked up.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import structlog

from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.domain.model import (
    Claim,
    ImportedAnswer,
    Intent,
    Kind,
    Mark,
    NewTask,
    ObjectRef,
    Outcome,
    Placement,
    Record,
    Settlement,
    Subject,
    TaskState,
)
from syncd.domain.planning import Plan
from syncd.flows.contents import lineage, task_data
from syncd.flows.context import Dataset
from syncd.flows.deciding import LOOK_AGAIN_S, Wait, decide
from syncd.flows.imported import give_imported, note_given
from syncd.flows.spreading import spread, spreads
from syncd.ports import AnnotatorDataset, TaskHeader

log = structlog.get_logger()
_AT_ONCE = 50  # tasks retired or restored between two commits


@dataclass
class _Pass:
    """One run over one batch: what was planned, and what is settled already."""

    dataset: Dataset
    remote: AnnotatorDataset
    settled: list[Settlement] = field(default_factory=list)
    planned: list[tuple[Claim, Plan]] = field(default_factory=list)
    wanted: dict[ObjectRef, list[ImportedAnswer]] = field(default_factory=dict)

    def done(self, claim: Claim, planned: Plan) -> None:
        if planned.unfinished:
            self.wait(claim, "its task was in doubt", 0.0)
        else:
            self.settled.append(Settlement(claim, Outcome.DONE, planned.reason, vanished=planned.vanished))

    def dead(self, claim: Claim, reason: str, cause: str) -> None:
        self.settled.append(Settlement(claim, Outcome.DEAD, reason, cause=cause))

    def wait(self, claim: Claim, reason: str, delay: float = LOOK_AGAIN_S) -> None:
        self.settled.append(Settlement(claim, Outcome.AGAIN, reason, delay=delay, failed=False))

    def still_wanted(self) -> dict[ObjectRef, list[ImportedAnswer]]:
        """What the objects that this run settles still lack; those of others come with these objects' next run."""
        if not self.wanted:  # as nearly always
            return {}
        refs = (ObjectRef.from_id(claim.subject.id) for claim, _ in self.planned)
        return {ref: self.wanted[ref] for ref in refs if ref in self.wanted}

    def claims_of(self, records: Sequence[Record]) -> list[tuple[Claim, Plan]]:
        """What is planned with the tasks of these records."""
        keys = {record.task_key for record in records}
        return [each for each in self.planned if keys & {r.task_key for r in each[1].retire + each[1].restore}]

    def failed(self, claim: Claim, error: SyncdError) -> None:
        """Only this one: dead when it can never succeed, else again after the worker's backoff."""
        outcome = Outcome.DEAD if isinstance(error, Rejected) else Outcome.AGAIN
        self.settled.append(Settlement(claim, outcome, str(error), cause=error.cause))


async def ingest(dataset: Dataset, claims: Sequence[Claim]) -> list[Settlement]:
    """Bring the tasks of these objects up to date. Raises Retryable and ConfigError for the whole batch."""
    run = _Pass(dataset, await dataset.remote())
    unknown = await _adopt(dataset, run.remote)
    objects = [(claim, ObjectRef.from_id(claim.subject.id)) for claim in claims]
    run.wanted = await dataset.state.wanted(dataset.name, [ref for _, ref in objects])
    spreading = {ref for _, ref in objects if spreads(dataset, ref)}
    await _plan_all(run, [(claim, ref) for claim, ref in objects if ref not in spreading], unknown)
    await _place(run)
    await _retire(run)
    await _restore(run)
    await give_imported(dataset, run.remote, run.still_wanted())  # last: only now it is clear which tasks stay
    for claim, planned in run.planned:
        run.done(claim, planned)
    run.settled += [await spread(dataset, claim, ref) for claim, ref in objects if ref in spreading]
    return run.settled


# ---------------------------------------------------------------- what an earlier pass left behind


async def _adopt(dataset: Dataset, remote: AnnotatorDataset) -> set[ObjectRef]:
    """Look up every open intent; returns the objects whose import may still be under way in the annotator."""
    unknown: set[ObjectRef] = set()
    for intent in await dataset.state.intents(dataset.name):
        if intent.marker in dataset.importing:
            unknown.update(p.ref for p in intent.placements)
            continue
        found = await remote.find_by_marker(intent.marker)
        if found:
            records = [_record(dataset, p, found[p.task_key]) for p in intent.placements if p.task_key in found]
            adopted = await dataset.state.fulfil(intent.marker, records)
            log.info("import.adopted", dataset=dataset.name, tasks=len(adopted))
        elif 0 <= dataset.clock.now() - intent.created_at < dataset.settle_imports:
            unknown.update(p.ref for p in intent.placements)
        else:
            await dataset.state.abandon(intent.marker)
            log.info("import.abandoned", dataset=dataset.name, tasks=len(intent.placements))
    return unknown


# ---------------------------------------------------------------- plan


async def _plan_all(run: _Pass, objects: Sequence[tuple[Claim, ObjectRef]], unknown: set[ObjectRef]) -> None:
    """Plan each object by itself: one's trouble is not the others'."""
    known: list[tuple[Claim, ObjectRef]] = []
    for claim, ref in objects:
        if ref in unknown:
            run.wait(claim, "waiting for an import of unknown fate")
        else:
            known.append((claim, ref))
    for (claim, _), decided in zip(known, await decide(run.dataset, known), strict=True):
        if isinstance(decided, Plan):
            run.planned.append((claim, decided))
        elif isinstance(decided, Wait):
            run.wait(claim, decided.reason, decided.delay)
        else:
            run.failed(claim, decided)


# ---------------------------------------------------------------- place


async def _place(run: _Pass) -> None:
    """Import what is to be placed, in one request; one the annotator refuses does not hold up the others."""
    batch: list[tuple[Claim, Placement, NewTask]] = []
    for claim, planned in run.planned:
        if planned.place:
            await _prepare(run, claim, planned.place, batch)
    queue = [batch] if batch else []
    while queue:
        queue.extend(await _import(run, queue.pop()))
    _forget_settled(run)


async def _prepare(
    run: _Pass, claim: Claim, placement: Placement, batch: list[tuple[Claim, Placement, NewTask]]
) -> None:
    try:
        data = await task_data(run.dataset, run.remote, placement)
        meta = {"syncd": lineage(run.dataset, placement)}
        answers = tuple(run.wanted.get(placement.ref, ()))
        batch.append((claim, placement, NewTask(placement.task_key, data, meta, answers)))
    except SyncdError as error:
        run.failed(claim, error)


async def _import(
    run: _Pass, batch: list[tuple[Claim, Placement, NewTask]]
) -> list[list[tuple[Claim, Placement, NewTask]]]:
    """Import one batch; returns the smaller batches to try next when the annotator refused this one."""
    dataset = run.dataset
    placements = tuple(placement for _, placement, _ in batch)
    intent = Intent(dataset.name, uuid.uuid4().hex, dataset.clock.now(), placements)
    with dataset.at_import(intent.marker):
        held = [claim for claim, _, _ in batch]
        await dataset.state.intend(intent, held=held)
        try:
            ids = await run.remote.import_tasks(intent.marker, [task for _, _, task in batch])
        except Rejected as error:
            await dataset.state.abandon(intent.marker)
            return _without_refused(run, batch, error)
        except Retryable as error:
            if error.effect_possible:  # from now on its fate is unknown
                await dataset.state.intend(replace(intent, created_at=dataset.clock.now()), held=held)
            else:
                await dataset.state.abandon(intent.marker)
            raise
        records = [_record(dataset, placement, task_id) for placement, task_id in zip(placements, ids, strict=True)]
        recorded = await dataset.state.fulfil(intent.marker, records, held=held)
    log.info("task.created", dataset=dataset.name, tasks=len(recorded))
    came_with = {r.task_id: run.wanted.pop(r.ref) for r in recorded if r.ref in run.wanted}
    await note_given(dataset, came_with)
    return []


def _without_refused(
    run: _Pass, batch: list[tuple[Claim, Placement, NewTask]], error: Rejected
) -> list[list[tuple[Claim, Placement, NewTask]]]:
    refused = {index: reason for index, reason in error.problems.items() if index < len(batch)}
    if not refused and len(batch) > 1:  # it did not say which: halve until it is found
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]
    for index, (claim, _, _) in enumerate(batch):
        if index in refused or not refused:
            run.dead(claim, refused.get(index) or str(error), error.cause)
    rest = [item for index, item in enumerate(batch) if refused and index not in refused]
    return [rest] if rest else []


def _forget_settled(run: _Pass) -> None:
    settled = {s.claim.subject for s in run.settled}
    run.planned = [each for each in run.planned if each[0].subject not in settled] if settled else run.planned


# ---------------------------------------------------------------- retire and restore


async def _retire(run: _Pass) -> None:
    by_reason: dict[str, list[Record]] = {}
    for _, planned in run.planned:
        by_reason.setdefault(planned.reason, []).extend(planned.retire)
    for reason, records in by_reason.items():
        for some in _parts(records):
            if doubted := await _doubt(run, some):
                states = await run.remote.retire(_headers(doubted), reason)
                await _set_states(run.dataset, list(zip(doubted, states, strict=True)))
                log.info("task.retired", dataset=run.dataset.name, tasks=len(doubted), reason=reason)


async def _restore(run: _Pass) -> None:
    for some in _parts([record for _, planned in run.planned for record in planned.restore]):
        if doubted := await _doubt(run, some):
            await run.remote.restore(_headers(doubted))
            await _set_states(run.dataset, [(r, TaskState.ACTIVE) for r in doubted])
            log.info("task.restored", dataset=run.dataset.name, tasks=len(doubted))


async def _doubt(run: _Pass, records: Sequence[Record]) -> list[Record]:
    """Write down that these are about to change in the annotator: whoever finds them so finishes it first.

    Returns those that are as they were when this was planned; the objects of others are planned anew.
    """
    changes = [(record, replace(record, state=TaskState.IN_DOUBT)) for record in records]
    doubted = await run.dataset.state.amend(changes, held=[claim for claim, _ in run.claims_of(records)])
    if missed := {record.task_key for record in records} - {record.task_key for record in doubted}:
        for claim, _ in run.claims_of([record for record in records if record.task_key in missed]):
            run.wait(claim, "its task changed meanwhile")
        _forget_settled(run)
    return doubted


async def _set_states(dataset: Dataset, states: Sequence[tuple[Record, TaskState]]) -> None:
    """Record the new states, and have the tasks read again: rows say whether they are retired, or their task is gone.

    One that we find gone may have been deleted by a person, with answers that are in the snapshot.
    """
    changes = [(record, replace(record, state=state)) for record, state in states]
    marks = [Mark(Subject(Kind.TASK, dataset.name, record.task_id)) for record, _ in states]
    await dataset.state.amend(changes, marks)


# ---------------------------------------------------------------- small things


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Few enough that a process which dies often still gets on: what became of a part is written down at its end."""
    return (records[start : start + _AT_ONCE] for start in range(0, len(records), _AT_ONCE))


def _headers(records: Sequence[Record]) -> list[TaskHeader]:
    """Ids alone would not do: an annotator may have given the id of a task that is gone to another."""
    return [TaskHeader(r.task_id, r.task_key) for r in records]


def _record(dataset: Dataset, p: Placement, task_id: str) -> Record:
    return Record(dataset.name, p.ref, p.task_key, task_id, p.etag, p.version_id, p.size, p.serial, parts=p.parts)
