"""The exact comparison that every scenario ends in: bucket, tasks, annotations, snapshot rows, and syncd's own books.

Every side is asked anew and by itself: the S3 server what it holds, Label Studio what tasks and annotations there are,
the newest version as a training job opens it, the state store for what is open. `settled` waits until all agree.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from syncd.annotators.label_studio.reading import KEY, RETIRED, task_key
from syncd.domain.errors import Retryable
from syncd.domain.model import Record, TaskState
from tests.torture.installation import DATASET, Installation

SHOWN = 5
"""So many of the members that differ are shown."""


@dataclass
class Comparison:
    """`sizes`: how many members the sets have that were compared; `wrong`: one line for each difference."""

    sizes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def settled(site: Installation, *, patience: float = 120.0, every: float = 1.0) -> Comparison:
    """Compare again and again until nothing differs; after `patience` seconds, what still does."""
    deadline = time.monotonic() + patience
    while True:
        try:
            found = compare(site)
        except (httpx.HTTPError, Retryable) as error:
            found = Comparison(wrong=[f"a server does not answer: {error!r}"])
        if not found.wrong or time.monotonic() > deadline:
            return found
        time.sleep(every)


def compare(site: Installation) -> Comparison:
    """What differs at this moment. The books come first: while work is open, the rest need not agree."""
    wrong = asyncio.run(_open_work(site))
    if wrong:
        return Comparison(wrong=wrong)
    objects, tasks, records = site.objects(), site.tasks(), asyncio.run(_records(site))
    rows = {row["annotation_id"]: row for row in site.rows()}
    versions = [int(found["version"][1:]) for found in site.json("snapshot", "list", DATASET)]
    answers = {str(answer["id"]): (task, answer) for task in tasks for answer in task["annotations"]}
    wrong += [
        *bucket_against_tasks(objects, tasks),
        *_doubled(tasks),
        *_recorded(tasks, records),
        *rows_against_answers(answers, rows),
    ]
    if versions != list(range(1, len(versions) + 1)):
        wrong.append(f"versions have gaps: {versions}")
    sets = {"objects": objects, "tasks": tasks, "annotations": answers, "rows": rows, "versions": versions}
    return Comparison({name: len(members) for name, members in sets.items()}, wrong)


def bucket_against_tasks(objects: dict[str, str], tasks: list[dict[str, Any]]) -> Iterator[str]:
    """Each object has exactly one task in work, made of the version that is there."""
    wanted = Counter(objects.items())
    in_work = Counter(_version(task) for task in tasks if RETIRED not in task["data"])
    yield from differing("object without its task", (wanted - in_work).elements())
    yield from differing("task of no object that is there", (in_work - wanted).elements())


def _version(task: dict[str, Any]) -> tuple[str, str]:
    lineage = (task["meta"] or {}).get("syncd", {})
    return lineage.get("key", ""), lineage.get("etag", "")


def _doubled(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """No task was made twice, whatever became of it."""
    keys = Counter(task_key(task) for task in tasks)
    yield from differing("task made twice", (key for key, times in keys.items() if times > 1))


def _recorded(tasks: list[dict[str, Any]], records: list[Record]) -> Iterator[str]:
    """What we believe is there is there, in the state that we believe it to be in."""
    there = {(str(task["id"]), task["data"].get(KEY), RETIRED in task["data"]) for task in tasks}
    present = (TaskState.ACTIVE, TaskState.RETIRED)
    ours = {(r.task_id, r.task_key, r.state is TaskState.RETIRED) for r in records if r.state in present}
    yield from differing("task without a record", there - ours)
    yield from differing("record without its task", ours - there)


def rows_against_answers(answers: dict[str, tuple[Any, Any]], rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The newest version holds the annotations that are there now, as they are now, each with its origin."""
    yield from differing("annotation without its row", answers.keys() - rows.keys())
    yield from differing("row without its annotation", rows.keys() - answers.keys())
    for id_ in sorted(answers.keys() & rows.keys()):
        said, row = _row(*answers[id_]), {name: rows[id_][name] for name in _COLUMNS}
        if said != row:
            yield f"row {id_} is {row}, and should be {said}"


_COLUMNS = ("task_id", "status", "labels", "result", "key", "etag", "retired")


def _row(task: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    labels = [label for region in answer["result"] for label in region["value"]["choices"]]
    key, etag = _version(task)
    status = "skipped" if answer["was_cancelled"] else "submitted"
    said = (str(task["id"]), status, labels, answer["result"], key, etag, RETIRED in task["data"])
    return dict(zip(_COLUMNS, said, strict=True))


def differing(what: str, members: Iterable[object]) -> Iterator[str]:
    """One line that names some of them; none where there are none."""
    found = sorted(map(str, members))
    if found:
        yield f"{what}: {len(found)}, such as {', '.join(found[:SHOWN])}"


# ---------------------------------------------------------------- syncd's own books


async def _open_work(site: Installation) -> list[str]:
    """What is not finished, and what was given up."""
    async with site.state() as state:
        lanes = [lane for lane in await state.backlog() if lane.pending or lane.claimed]
        found = [f"waits: {lane.pending} pending, {lane.claimed} claimed of {lane.kind}" for lane in lanes]
        found += [f"intent left: {len(intent.placements)} tasks" for intent in await state.intents(DATASET)]
        found += [f"dead letter: {letter.subject.id}: {letter.reason}" for letter in await state.dead_letters()]
        if left := await state.staged_count(DATASET):
            found.append(f"{left} changes are staged and in no version")
        return found


async def _records(site: Installation) -> list[Record]:
    async with site.state() as state:
        return [record async for page in state.walk_tasks(DATASET) for record in page]
