"""What has to be true once the world came to rest and was reconciled: the tasks, the rows, the versions, the books."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from syncd.annotators.memory_person import Task
from syncd.domain.checks import check
from syncd.domain.model import AnswerKind, Record, RowStatus, TaskState
from syncd.domain.planning import OnChange, OnDelete
from tests.flows.world import BUCKET, NAME
from tests.simulate.surroundings import Origin, Surroundings, imports_of
from tests.simulate.world import SIDECAR, TRIGGER, SimulatedWorld

PRESENT = (TaskState.ACTIVE, TaskState.RETIRED)


async def wrongs(world: SimulatedWorld, around: Surroundings) -> list[str]:
    """What is not as it has to be; empty when all is well."""
    records = [record async for page in world.state.walk(NAME, BUCKET) for record in page]
    tasks = list(world.person.work.values())
    return [
        *_tasks(world, around, records),
        *_records(tasks, records),
        *_origins(world, around, tasks),
        *await _imports(world, around, records),
        *await _rows(world, records),
        *await _versions(world),
        *await _deliveries(world),
        *await _books(world, around),
    ]


# ---------------------------------------------------------------- tasks


def _tasks(world: SimulatedWorld, around: Surroundings, records: Sequence[Record]) -> Iterator[str]:
    """Of each key exactly the tasks that the policies want."""
    by_key: dict[str, list[Record]] = {}
    for record in records:
        by_key.setdefault(record.ref.key, []).append(record)
    for key in sorted({*by_key, *(key for key in around.bucket._objects if not key.endswith(SIDECAR))}):
        ours, now = by_key.get(key, []), around.bucket.now(key)
        active = Counter(Origin.of_record(record) for record in ours if record.state is TaskState.ACTIVE)
        discarded = {Origin.of_record(record) for record in ours if record.state is TaskState.DISCARDED}
        if any(count > 1 for count in active.values()):
            yield f"{key}: several tasks in work for one version: {dict(active)}"
        for each in sorted(discarded - around.deleted_by_people, key=str):
            yield f"{key}: taken for deleted by a person, which nobody did: {each}"
        if problem := _wanted(world, now, active, discarded):
            yield f"{key}: {problem}; in work: {dict(active)}, now {now}"


def _wanted(world: SimulatedWorld, now: Origin | None, active: Mapping[Origin, int], discarded: set[Origin]) -> str:
    """What is wrong with the versions of one key that are in work; empty when nothing is."""
    policy = world.dataset.policy
    if now is None:
        return "retired objects are in work" if active and policy.on_delete is OnDelete.RETIRE else ""
    if now not in active and now not in discarded and not (active and policy.on_change is OnChange.IGNORE):
        return "the task is missing"
    if len(active) > 1 and policy.on_change is not OnChange.NEW_TASK:
        return "versions of before are in work"
    return ""


def _records(tasks: Sequence[Task], records: Sequence[Record]) -> Iterator[str]:
    """What we believe is there is there, and nothing else but what was made twice and then worked on."""
    there = {(str(task.id), task.new.task_key): task for task in tasks}
    ours = {(r.task_id, r.task_key): r for r in records if r.state in PRESENT}
    yield from (f"task {r.task_id} is in doubt" for r in records if r.state is TaskState.IN_DOUBT)
    for name in sorted(ours.keys() - there.keys()):
        yield f"task {name[0]} is recorded as {ours[name].state}, and is not there"
    for name in sorted(there.keys() - ours.keys()):
        if there[name].retired is None or not there[name].annotations:
            yield f"task {name[0]} of {Origin.of_task(there[name])} is there without a record"
    for name in sorted(there.keys() & ours.keys()):
        if (there[name].retired is None) != (ours[name].state is TaskState.ACTIVE):
            yield f"task {name[0]} is recorded as {ours[name].state}, and is not"


def _origins(world: SimulatedWorld, around: Surroundings, tasks: Sequence[Task]) -> Iterator[str]:
    """Every task is of a version that there was, and shows the bytes of just that version."""
    for task in tasks:
        origin = Origin.of_task(task)
        data = around.bucket.ever.get((origin.key, origin.etag))
        beside = around.bucket.ever.get((origin.key + SIDECAR, origin.sidecar), b"{}")
        shown = {"text": (data or b"").decode()} if world.person.inline_text else json.loads(beside)
        if data is None:
            yield f"task {task.id} is of a version that never was: {origin}"
        elif {name: task.new.data.get(name) for name in ("text", "n") if name in task.new.data} != shown:
            yield f"task {task.id} shows {task.new.data} as {origin}, which was {shown}"


# ---------------------------------------------------------------- answers from elsewhere


async def _imports(world: SimulatedWorld, around: Surroundings, records: Sequence[Record]) -> list[str]:
    """Each is given to a task of its object, never twice to one; it waits while there is none, or a person deleted it.

    Where the note that it was given is lost, and its object is overwritten just then, the next version's task gets it,
    too.
    """
    wanted = await world.state.wanted(NAME, [answer.ref for answer in around.brought.values()])
    waiting = {(ref, answer.digest) for ref, answers in wanted.items() for answer in answers}
    refs = {state: {record.ref for record in records if record.state is state} for state in TaskState}
    served = refs[TaskState.ACTIVE] - refs[TaskState.DISCARDED]
    recorded = {(record.task_id, record.task_key) for record in records}
    ours = [task for task in world.person.work.values() if (str(task.id), task.new.task_key) in recorded]
    given = [imports_of(task.annotations.values()) + imports_of(task.predictions) for task in ours]
    found = [f"{name} was given twice" for each in given for name, count in each.items() if count > 1]
    for name, answer in around.brought.items():
        if (answer.ref, answer.digest) in waiting:
            found += [f"{name} still waits, although there is a task"] if answer.ref in served else []
        elif answer.kind is AnswerKind.ANNOTATION and name not in around.undone and not any(name in e for e in given):
            found.append(f"{name} is lost")
    return found


# ---------------------------------------------------------------- rows and versions


async def _rows(world: SimulatedWorld, records: Sequence[Record]) -> list[str]:
    """The newest version holds the answers that are there now, as they are now; drafts may be on their way.

    No look finds out that a person deleted a task without a record, such as one that was made twice: where nobody told
    us, its rows stay.
    """
    rows = {id_: _said(row) for id_, row in (await world.rows()).items()}
    known = {(record.task_id, record.task_key) for record in records}
    answers = {id_: said for task in world.person.work.values() for id_, said in _answers(world, task, known)}
    late = {id_ for id_, said in answers.items() if said["status"] == RowStatus.DRAFT}
    found = [f"row {id_} is missing: {answers[id_]}" for id_ in sorted(answers.keys() - rows.keys() - late)]
    gone = sorted(id_ for id_ in rows.keys() - answers.keys() if rows[id_]["key"])
    found += [f"row {id_} is of an answer that is gone: {rows[id_]}" for id_ in gone]
    for id_ in sorted(rows.keys() & answers.keys()):
        differing = {n: (v, answers[id_][n]) for n, v in rows[id_].items() if v != answers[id_][n]}
        if differing:
            found.append(f"row {id_} says (and should say): {differing}")
    return found


def _said(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("task_id", "status", "labels", "key", "etag", "retired")}


def _answers(world: SimulatedWorld, task: Task, known: set[tuple[str, str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The answers of a task as rows say them; one that was made twice is nobody's, and so its rows are."""
    origin = Origin.of_task(task) if (str(task.id), task.new.task_key) in known else None
    for answer in task.annotations.values():
        submitted = answer.status is RowStatus.SUBMITTED
        bad = submitted and check(answer.result, world.dataset.config, task.new.data)
        yield (
            answer.id,
            {
                "task_id": str(task.id),
                "status": RowStatus.INVALID if bad else answer.status,
                "labels": tuple(label for region in answer.result for label in region["value"]["choices"]),
                "key": origin and origin.key,
                "etag": origin and origin.etag,
                "retired": task.retired is not None and origin is not None,
            },
        )


async def _versions(world: SimulatedWorld) -> list[str]:
    """Numbered without gaps, and each says how many rows it has."""
    versions = await world.snapshots.versions(NAME)
    numbers = [version.number for version in versions]
    found = [] if numbers == list(range(1, len(numbers) + 1)) else [f"versions have gaps: {numbers}"]
    for version in versions:
        rows = len(await world.snapshots.rows(NAME, version.number))
        if rows != version.rows:
            found.append(f"{version.name} has {rows} rows, and says {version.rows}")
    return found


async def _deliveries(world: SimulatedWorld) -> list[str]:
    """Every version was told to the trigger's target, at least once, and nothing else was."""
    wanted = {f"{NAME}/{version.name}/{TRIGGER}" for version in await world.snapshots.versions(NAME)}
    got = set(world.target.got)
    return [f"{id_} was not delivered" for id_ in sorted(wanted - got)] + [
        f"{id_} was delivered, and is no version" for id_ in sorted(got - wanted)
    ]


async def _books(world: SimulatedWorld, around: Surroundings) -> list[str]:
    """Nothing is left to do, and nothing was given up of an object that is there."""
    found = [f"still open: {lane}" for lane in await world.state.backlog() if lane.pending or lane.claimed]
    found += [f"an intent is left: {len(i.placements)} tasks" for i in await world.state.intents(NAME)]
    if left := await world.state.staged_count(NAME):
        found.append(f"{left} changes are staged and in no version")
    for letter in await world.state.dead_letters():
        if any(letter.subject.id.endswith(key) for key in around.bucket._objects):
            found.append(f"given up: {letter.subject.id}: {letter.reason}")
    return found
