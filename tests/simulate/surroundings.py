"""What the processes live among: a bucket whose senders are unreliable, an annotator that lags, and people at work."""

import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from syncd.annotators.memory import MemoryAnnotator
from syncd.annotators.memory_person import Task
from syncd.domain.model import (
    Annotation,
    AnswerKind,
    ImportedAnswer,
    Kind,
    Mark,
    NewTask,
    ObjectRef,
    Observation,
    Record,
    RowStatus,
    Subject,
)
from syncd.domain.planning import of_another
from syncd.ports import Changed, Seen, TaskHeader
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock
from tests.flows.world import BUCKET, CAT, DOG, NAME, UNICORN, FaultyAnnotator, FaultyDataset
from tests.simulate.world import SIDECAR, SimulatedWorld

KEYS = ("a.jpg", "b.jpg", "c.jpg", "d/e.jpg")
Sender = str
SENDERS: Sequence[Sender] = ("numbered", "silent", "mixed")
"""Whether events carry a sequencer, say only that something happened, or now this and now that."""


class Bucket(MemoryStore):
    """The same bytes have the same etag, as in most stores; it remembers every version there ever was."""

    def __init__(self, bucket: str, clock: FakeClock) -> None:
        super().__init__(bucket, clock)
        self.ever: dict[tuple[str, str], bytes] = {}

    def put(self, key: str, data: bytes) -> Seen:
        """Write an object."""
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()[:8]
        self._objects[key] = (data, etag)
        self.ever[key, etag] = data
        return ObjectRef(self.bucket, key), self._observe(key)

    def now(self, key: str) -> "Origin | None":
        """The version that is there."""
        etags = {name: etag for name, (_, etag) in self._objects.items()}
        return Origin(key, etags[key], etags.get(key + SIDECAR, "")) if key in etags else None


@dataclass(frozen=True, slots=True)
class Origin:
    """Which version of which object a task or a record is of."""

    key: str
    etag: str
    sidecar: str = ""

    @classmethod
    def of_task(cls, task: Task) -> "Origin":
        """As the task says."""
        said = task.new.meta["syncd"]
        return cls(said["key"], said["etag"], "".join(part["etag"] for part in said.get("parts", {}).values()))

    @classmethod
    def of_record(cls, record: Record) -> "Origin":
        """As our record says."""
        return cls(record.ref.key, record.etag or "", "".join(part.etag or "" for part in record.parts))


class LaggingDataset(FaultyDataset):
    """Its search knows nothing of the last `lag` seconds; `imported` is called after each import."""

    lag = 0.0
    imported: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, inner: Any, clock: Any) -> None:
        super().__init__(inner, clock)
        self._marked: dict[str, float] = {}
        self.touched: dict[str, float] = {}

    def touch(self, task_id: str) -> None:
        """Somebody changed a task."""
        self.touched[task_id] = self.clock.now()

    async def import_tasks(self, marker: str, tasks: Sequence[NewTask]) -> list[str]:
        """As the port says."""
        ids = await self.inner.import_tasks(marker, tasks)
        self._marked[marker] = self.clock.now()
        for id_ in ids:
            self.touch(id_)
        self.imported()
        return ids

    async def give(self, task: TaskHeader, answers: Sequence[ImportedAnswer]) -> bool:
        """As the port says."""
        self.touch(task.task_id)
        return await self.inner.give(task, answers)

    async def find_by_marker(self, marker: str) -> dict[str, str]:
        """As the port says."""
        fresh = self.clock.now() - self._marked.get(marker, 0.0) < self.lag
        return {} if fresh else await self.inner.find_by_marker(marker)

    async def changed(self, cursor: str | None) -> AsyncIterator[Changed]:
        """As the port says; what came before what cannot be seen yet."""
        since, now = int(cursor or 0), self.clock.now()
        found = sorted((task.changed, str(task.id)) for task in self.inner.work.values() if task.changed >= since)
        fresh = {id_ for _, id_ in found if now - self.touched.get(id_, 0.0) < self.lag}
        for changed, id_ in found:  # as it was when we asked: what changes meanwhile comes with the next look
            if id_ in fresh:
                return
            yield Changed((id_,), str(changed))


class LaggingAnnotator(FaultyAnnotator):
    """Its dataset lags."""

    def __init__(self, clock: FakeClock, lag: float, imported: Callable[[], None]) -> None:
        super().__init__(clock)
        self._lag, self._imported = lag, imported

    async def ensure_dataset(self, spec: Any) -> Any:
        """As the port says."""
        if self.faulty is None:
            dataset = LaggingDataset(await MemoryAnnotator.ensure_dataset(self, spec), self.fake_clock)
            dataset.lag, dataset.imported = self._lag, self._imported
            self.faulty = dataset
        return self.faulty


class Surroundings:
    """The bucket and the people, and the notifications on their way; all choices are the seed's."""

    def __init__(self, world: SimulatedWorld, chance: random.Random, note: Callable[[str, str], None]) -> None:
        self.world, self.chance, self._note = world, chance, note
        self.bucket = Bucket(BUCKET, world.clock)
        self.sender = chance.choice(SENDERS)
        self.events: list[tuple[str, list[Mark]]] = []
        self.deleted_by_people: set[Origin] = set()
        """Versions whose tasks people deleted."""
        self.brought: dict[str, ImportedAnswer] = {}
        """Answers from elsewhere, by the name that their regions carry."""
        self.undone: set[str] = set()
        """Names of those that people corrected or deleted since."""
        self._count = 0

    @property
    def dataset(self) -> LaggingDataset:
        """Once a process opened it."""
        assert isinstance(self.world.faulty, LaggingDataset)
        return self.world.faulty

    # ------------------------------------------------------------ the bucket

    async def write(self) -> None:
        """An object is written, or written over."""
        key, number = self._key(), self.chance.randint(1, 4)
        data = b'{"n": "%d"}' % number if key.endswith(SIDECAR) else b"%d" % number
        ref, seen = self.bucket.put(key, data)
        self._happened(f"{key} is written as {seen.etag}", ref, self._told(seen))

    async def delete(self) -> None:
        """An object is deleted, perhaps one that is not there."""
        ref, seen = self.bucket.delete(self._key())
        self._happened(f"{ref.key} is deleted", ref, self._told(seen))

    def _key(self) -> str:
        key = self.chance.choice(KEYS)
        return key + SIDECAR if self.world.layout.sidecar and self.chance.random() < 0.4 else key

    def _told(self, seen: Observation) -> Observation:
        self._count += 1
        silent = self.sender == "silent" or (self.sender == "mixed" and self._count % 3 == 0)
        return Observation(seen.observed_at) if silent else replace(seen, sequencer=f"s3:{self._count:04X}")

    def _happened(self, what: str, ref: ObjectRef, told: Observation) -> None:
        marks = [
            Mark(Subject(Kind.OBJECT, name, about.id), told if about == ref else of_another(told))
            for name, about in self.world.routes.subjects(ref)
        ]
        self._happens(what, marks)

    def _happens(self, what: str, marks: list[Mark]) -> None:
        self._note("world", what)
        self.events.append((what, marks))
        self.world.clock.advance(0.01)

    # ------------------------------------------------------------ notifications

    async def notify(self) -> None:
        """One notification, in any order: it arrives, arrives but will again, or never does.

        One that will again is as well one whose acknowledgement was lost.
        """
        if not self.events:
            return
        index = self.chance.randrange(len(self.events))
        fate = self.chance.choices(("arrives", "arrives, and will again", "is lost"), (6, 2, 1))[0]
        what, marks = self.events[index]
        if fate != "arrives, and will again":
            self.events.pop(index)
        self._note("sender", f"{what}: {fate}")
        if fate != "is lost":
            await self.world.state.mark(marks)

    # ------------------------------------------------------------ answers from elsewhere

    async def bring(self) -> None:
        """Somebody imports an answer or a model's, as `syncd import` does; perhaps one that was imported before."""
        key, kind = self.chance.choice(KEYS), self.chance.choice(list(AnswerKind))
        name = f"import-{self.chance.randint(1, 6)}-{kind}-{key}"
        region = {**self.chance.choice([CAT, DOG])[0], "meta": {"text": [name]}}
        model = "m" if kind is AnswerKind.PREDICTION else None
        answer = self.brought.setdefault(name, ImportedAnswer(ObjectRef(BUCKET, key), kind, (region,), model))
        self._note("import", name)
        await self.world.state.want(NAME, [answer])
        await self.world.state.mark([Mark(Subject(Kind.OBJECT, NAME, answer.ref.id))])

    # ------------------------------------------------------------ people

    async def work(self) -> None:
        """A person does something to a task."""
        if not self.world.annotator.faulty or not self.world.person.work:
            return
        id_ = self.chance.choice(list(self.world.person.work))
        answered = [a.id for a in self.world.person.work[id_].annotations.values() if a.status is RowStatus.SUBMITTED]
        deeds = ["submits", "submits", "skips", "leaves a draft of", "deletes"]
        deeds += ["corrects an answer of", "corrects an answer of", "deletes an answer of"] if answered else []
        deed = self.chance.choice(deeds)
        self._do(deed, id_, self.chance.choice([CAT, DOG, UNICORN]), answered)
        self.dataset.touch(id_)
        self._happens(f"a person {deed} task {id_}", [Mark(Subject(Kind.TASK, NAME, id_))])

    def _do(self, deed: str, id_: str, result: list[dict[str, Any]], answered: Sequence[str]) -> None:
        person = self.world.person
        annotations = person.work[id_].annotations
        match deed:
            case "submits":
                person.submit(id_, result)
            case "skips":
                person.skip(id_)
            case "leaves a draft of":
                person.draft(id_, result)
            case "corrects an answer of":
                self.undone |= imports_of([annotations[one := self.chance.choice(answered)]]).keys()
                person.update_annotation(one, result)
            case "deletes an answer of":
                self.undone |= imports_of([annotations[one := self.chance.choice(answered)]]).keys()
                person.delete_annotation(one)
            case _:
                self.deleted_by_people.add(Origin.of_task(person.work[id_]))
                self.undone |= imports_of(annotations.values()).keys()
                person.delete_task(id_)


def imports_of(answers: Iterable[Annotation | ImportedAnswer]) -> Counter[str]:
    """How often which answers from elsewhere are among these."""
    regions = (region for answer in answers for region in answer.result)
    return Counter(text for region in regions for text in region.get("meta", {}).get("text", []))
