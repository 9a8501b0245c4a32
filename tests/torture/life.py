"""What happens in the bucket and at the annotation tool while faults go on: two threads, by a seed, until told to stop.

Objects are written, overwritten, deleted and written again, with the same bytes and with others; tasks are annotated
and skipped, annotations are changed and taken back. What has become of it all is not remembered here: `comparison`
asks the servers. A server that does not answer, or refuses (the task went away just now), is asked again with
something else.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
import httpx
from obstore.exceptions import BaseError

from syncd.annotators.label_studio.person import Person
from tests.acceptance.site import choice
from tests.torture.installation import Installation

PAGE = 40
LABELS = ("cat", "dog")


class Life:
    """The context in which it goes on.

    `keys`: how many the bucket may hold; `objects`, `answers`: usual pauses, in seconds; `back`: the share of objects
    that were deleted and are written again as they were.
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
    ) -> None:
        self.did: Counter[str] = Counter()
        self._site = site
        self._seed = seed
        self._keys = [f"{n % 7}/photo {n:03}+é.jpg" for n in range(keys)]
        self._back = back
        self._pauses = {"bucket": objects, "person": answers}
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        runs = {"bucket": self._write_objects, "person": self._annotate}
        self._threads = [threading.Thread(target=self._guarded, args=(run,), name=name) for name, run in runs.items()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._errors and error is None:
            raise self._errors[0]

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
            except (BaseError, aiohttp.ClientError, AssertionError):  # whether it happened, the bucket knows
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
                try:
                    tasks = tasks or some_tasks(person, self._site.title, chance)
                    if tasks:
                        self._answer(person, tasks.pop(), chance)
                except httpx.HTTPError as error:
                    answered = isinstance(error, httpx.HTTPStatusError)
                    self.did["answer refused" if answered else "tool not reached"] += 1

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
            self.did["annotation made"] += 1


def some_tasks(person: Person, title: str, chance: random.Random) -> list[dict[str, Any]]:
    """A few tasks of a project in random order; none where it is not there yet."""
    project = person.project(title)
    if project is None or not project["task_number"]:
        return []
    page = chance.randint(1, -(-project["task_number"] // PAGE))
    params = {"project": project["id"], "page": page, "page_size": PAGE, "fields": "all"}
    answer = person.http.get("/api/tasks/", params=params)
    answer.raise_for_status()
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    return chance.sample(tasks, len(tasks))
