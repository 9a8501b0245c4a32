"""What the processes live among: a bucket whose senders are unreliable, an annotator that lags, and people at work."""

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from syncd.annotators.memory import MemoryAnnotator
from syncd.annotators.memory_person import Task
from syncd.domain.model import Kind, Mark, NewTask, ObjectRef, Observation, RowStatus, Subject
from syncd.ports import Changed, Seen
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock
from tests.flows.world import BUCKET, CAT, DOG, NAME, UNICORN, FaultyAnnotator, FaultyDataset, World

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

    def etag(self, key: str) -> str | None:
        """Of the version that is there."""
        return self._objects[key][1] if key in self._objects else None


def origin(task: Task) -> tuple[str, str]:
    """Key and etag of the object version that a task is of."""
    said = task.new.meta["syncd"]
    return said["key"], said["etag"]


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

    def __init__(self, world: World, chance: random.Random, note: Callable[[str, str], None]) -> None:
        self.world, self.chance, self._note = world, chance, note
        self.bucket = Bucket(BUCKET, world.clock)
        self.sender = chance.choice(SENDERS)
        self.events: list[tuple[str, Mark]] = []
        self.deleted_by_people: set[tuple[str, str]] = set()
        """Key and etag of the tasks that people deleted."""
        self._count = 0

    @property
    def dataset(self) -> LaggingDataset:
        """Once a process opened it."""
        assert isinstance(self.world.faulty, LaggingDataset)
        return self.world.faulty

    # ------------------------------------------------------------ the bucket

    async def write(self) -> None:
        """An object is written, or written over."""
        key, data = self.chance.choice(KEYS), b"%d" % self.chance.randint(1, 4)
        ref, seen = self.bucket.put(key, data)
        self._happened(f"{key} is written as {seen.etag}", Mark(_subject(ref), self._told(seen)))

    async def delete(self) -> None:
        """An object is deleted, perhaps one that is not there."""
        key = self.chance.choice(KEYS)
        ref, seen = self.bucket.delete(key)
        self._happened(f"{key} is deleted", Mark(_subject(ref), self._told(seen)))

    def _told(self, seen: Observation) -> Observation:
        self._count += 1
        silent = self.sender == "silent" or (self.sender == "mixed" and self._count % 3 == 0)
        return Observation(seen.observed_at) if silent else replace(seen, sequencer=f"s3:{self._count:04X}")

    def _happened(self, what: str, mark: Mark) -> None:
        self._note("world", what)
        self.events.append((what, mark))
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
        what, mark = self.events[index]
        if fate != "arrives, and will again":
            self.events.pop(index)
        self._note("sender", f"{what}: {fate}")
        if fate != "is lost":
            await self.world.state.mark([mark])

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
        self._happened(f"a person {deed} task {id_}", Mark(Subject(Kind.TASK, NAME, id_)))

    def _do(self, deed: str, id_: str, result: list[dict[str, Any]], answered: Sequence[str]) -> None:
        person = self.world.person
        match deed:
            case "submits":
                person.submit(id_, result)
            case "skips":
                person.skip(id_)
            case "leaves a draft of":
                person.draft(id_, result)
            case "corrects an answer of":
                person.update_annotation(self.chance.choice(answered), result)
            case "deletes an answer of":
                person.delete_annotation(self.chance.choice(answered))
            case _:
                self.deleted_by_people.add(origin(person.work[id_]))
                person.delete_task(id_)


def _subject(ref: ObjectRef) -> Subject:
    return Subject(Kind.OBJECT, NAME, ref.id)
