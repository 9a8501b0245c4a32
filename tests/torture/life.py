"""What happens in the bucket and at the annotation tool while faults go on: by a seed, in three threads.

Objects are written, overwritten, deleted and written again, with the same bytes and with others; tasks are annotated
and skipped, annotations are changed and taken back. A few objects of their own go away each time their task has an
answer, and come back once syncd has retired it. What has become of it all is not remembered here: `comparison` asks
the servers. A server that does not answer, or refuses (the task went away just now), is asked again with something
else.
"""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import aiohttp
import httpx
from obstore.exceptions import BaseError

from syncd.annotators.label_studio.listing import where
from syncd.annotators.label_studio.person import Person
from syncd.annotators.label_studio.reading import RETIRED
from tests.acceptance.site import choice, until
from tests.torture.installation import Installation

PAGE = 40
LABELS = ("cat", "dog")
ANSWERED = "annotation made"
_RETURNING = "returning"
_OF_RETURNING = json.dumps(
    {"filters": {"conjunction": "and", "items": [where("data.image", "contains", "String", _RETURNING)]}}
)
_RETURNS_S = 0.5
_FIRST_ANSWER_S = 120.0
_UNREACHED = (BaseError, aiohttp.ClientError, AssertionError)
"""What the bucket raises; whether it happened all the same, the bucket knows."""


class Life:
    """The context in which it goes on; a daemon has to run where it begins.

    `keys`: how many the bucket may hold; `objects`, `answers`: usual pauses, in seconds; `back`: the share of objects
    that were deleted and are written again as they were; `returning`: objects that come back to a retired task.
    """

    def __init__(
        self,
        site: Installation,
        seed: int,
        *,
        keys: int = 150,
        objects: float = 0.2,
        answers: float = 0.3,
        back: float = 0.3,
        returning: int = 4,
    ) -> None:
        self.did: Counter[str] = Counter()
        self._site = site
        self._seed = seed
        self._keys = [f"{n % 7}/photo {n:03}+é.jpg" for n in range(keys)]
        self._returning = [f"{_RETURNING}-{n}.jpg" for n in range(returning)]
        self._back = back
        self._pauses = {"bucket": objects, "person": answers, "returns": _RETURNS_S}
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        runs = {"bucket": self._write_objects, "person": self._annotate, "returns": self._bring_back}
        self._threads = [threading.Thread(target=self._guarded, args=(run,), name=name) for name, run in runs.items()]

    def __enter__(self) -> Self:
        """Returns once there is an annotation, so that faults meet human work; only what comes then is counted."""
        for thread in self._threads:
            thread.start()
        try:
            until("an annotation", lambda: self.did[ANSWERED] or self._errors, timeout=_FIRST_ANSWER_S)
            self._raise()
        except BaseException:
            self._end()
            raise
        self.did.clear()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised where the context ends
            self._errors.append(error)

    def _pause(self, chance: random.Random) -> bool:
        """Wait a random while; False once it is over."""
        usual = self._pauses[threading.current_thread().name]
        return not self._over.wait(chance.expovariate(1 / usual))

    # ------------------------------------------------------------ the bucket

    def _write_objects(self) -> None:
        chance, there = random.Random(self._seed), dict[str, bytes]()
        before: dict[str, bytes] = {}
        while self._pause(chance):
            key = chance.choice(self._keys)
            try:
                asyncio.run(self._write(chance, key, there, before))
            except _UNREACHED:
                self.did["object not reached"] += 1

    async def _write(self, chance: random.Random, key: str, there: dict[str, bytes], before: dict[str, bytes]) -> None:
        if key in there and chance.random() < 0.35:
            await self._site.bucket.delete(key)
            before[key] = there.pop(key)
            self.did["object deleted"] += 1
            return
        back = key not in there and key in before and chance.random() < self._back
        data = before[key] if back else f"{key} {chance.random()}".encode()
        await self._site.bucket.put(key, data)
        done = "came back" if back else "overwritten" if key in there else "written"
        before[key] = there.get(key, data)
        there[key] = data
        self.did[f"object {done}"] += 1

    # ------------------------------------------------------------ the person

    def _annotate(self) -> None:
        chance = random.Random(self._seed + 1)
        with Person(self._site.studio.url, self._site.studio.token) as person:
            tasks: list[dict[str, Any]] = []
            while self._pause(chance):
                with self._tolerant():
                    tasks = tasks or some_tasks(person, self._site.title, chance)
                    if tasks:
                        self._answer(person, tasks.pop(), chance)

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """The annotation tool may refuse, or be away."""
        try:
            yield
        except httpx.HTTPError as error:
            self.did["answer refused" if isinstance(error, httpx.HTTPStatusError) else "tool not reached"] += 1

    def _answer(self, person: Person, task: dict[str, Any], chance: random.Random) -> None:
        given = [annotation["id"] for annotation in task["annotations"]]
        result, luck = choice(chance.choice(LABELS)), chance.random()
        if given and luck < 0.3:
            person.correct(chance.choice(given), result)
            self.did["annotation changed"] += 1
        elif given and luck < 0.6:
            person.withdraw(chance.choice(given))
            self.did["annotation deleted"] += 1
        else:
            person.submit(task["id"], result, skip=luck > 0.95)
            self.did[ANSWERED] += 1

    # ------------------------------------------------------------ what comes back

    def _bring_back(self) -> None:
        chance = random.Random(self._seed + 2)
        there, project = self._site.objects().keys() & set(self._returning), None
        with Person(self._site.studio.url, self._site.studio.token) as person:
            while self._pause(chance):
                with self._tolerant():
                    project = project or person.project(self._site.title)
                    tasks = _page(person, project, query=_OF_RETURNING) if project else []
                    for key in self._returning:
                        self._turn(person, key, [task for task in tasks if task["meta"]["syncd"]["key"] == key], there)

    def _turn(self, person: Person, key: str, tasks: list[dict[str, Any]], there: set[str]) -> None:
        """The next thing to be done with one of them, once syncd has done what it has to."""
        in_work = [task for task in tasks if RETIRED not in task["data"]]
        if key not in there and not in_work:
            self._certainly(lambda: self._site.bucket.put(key, key.encode()))
            there.add(key)
            self.did["object came back" if tasks else "object written"] += 1
        elif key in there and in_work and in_work[0]["annotations"]:
            self._certainly(lambda: self._site.bucket.delete(key))
            there.discard(key)
            self.did["object deleted"] += 1
        elif key in there and in_work:
            person.submit(in_work[0]["id"], choice(LABELS[0]))
            self.did[ANSWERED] += 1

    def _certainly(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Again and again, for what comes next builds on it."""
        while not self._over.is_set():
            with suppress(*_UNREACHED):
                asyncio.run(act())
                return
            self.did["object not reached"] += 1


def some_tasks(person: Person, title: str, chance: random.Random) -> list[dict[str, Any]]:
    """A few tasks of a project in random order; none where it is not there yet."""
    project = person.project(title)
    if project is None or not project["task_number"]:
        return []
    tasks = _page(person, project, page=chance.randint(1, -(-project["task_number"] // PAGE)))
    return chance.sample(tasks, len(tasks))


def _page(person: Person, project: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    answer = person.http.get(
        "/api/tasks/", params={"project": project["id"], "page_size": PAGE, "fields": "all", **params}
    )
    answer.raise_for_status()
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    return tasks
