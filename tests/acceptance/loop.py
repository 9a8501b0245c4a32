"""The whole loop over one way of hearing of a bucket, on purpose made worse than any network.

A `Transport` is a real bucket and what its events go through. The test makes 500 objects, overwrites and deletes
some; the events are held up, and then told in random order, each up to three times, one in five never.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import aiohttp

from syncd.domain.etags import file_etag
from tests.acceptance.site import Site, until

T = TypeVar("T")
Told = TypeVar("Told")

OBJECTS = 500
OVERWRITTEN = 100
DELETED = 80
BACK = 20
"""Of the deleted ones, so many come back."""

EVENTS = OBJECTS + OVERWRITTEN + DELETED + BACK
_AT_ONCE = 16
_SEED = 7


class Bucket(Protocol):
    """A bucket."""

    async def put(self, key: str, data: bytes) -> None:
        """Write an object."""

    async def delete(self, key: str) -> None:
        """Delete an object."""

    async def versions(self) -> Mapping[str, str]:
        """What is in the bucket: key → what tells its versions apart (etag without quotes, or version id)."""


class Transport(Bucket, Protocol[Told]):
    """A bucket, how syncd is told of it, and a hand on what it is told.

    `sources`: TOML of `[buckets.*]` and `[sources.photos]`.
    """

    sources: str

    async def held(self) -> Sequence[Told]:
        """The events that came so far; none of them has reached syncd."""

    async def tell(self, events: Sequence[Told], port: int) -> None:
        """Let these reach syncd, whose receiver is on that port."""


def made_worse(events: Sequence[T], chance: random.Random) -> list[T]:
    """One in five lost, the others up to three times, in random order."""
    kept = [event for event in events if chance.random() >= 0.2]
    worse = [event for event in kept for _ in range(chance.randint(1, 3))]
    chance.shuffle(worse)
    return worse


async def live(transport: Bucket) -> None:
    """What happens in the bucket."""
    chance = random.Random(_SEED)
    keys = [f"{n % 7}/photo {n:03d}+é.jpg" for n in range(OBJECTS)]
    await _at_once([transport.put(key, f"first {key}".encode()) for key in keys])
    chance.shuffle(keys)
    await _at_once([transport.put(key, f"second, longer {key}".encode()) for key in keys[:OVERWRITTEN]])
    gone = keys[OVERWRITTEN // 2 :][:DELETED]
    await _at_once([transport.delete(key) for key in gone])
    await _at_once([transport.put(key, f"back again {key}".encode()) for key in gone[:BACK]])


async def _at_once(actions: Sequence[object]) -> None:
    """Some at a time; all of them have happened on return."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(action: object) -> None:
        async with slots:
            await action  # type: ignore[misc]

    await asyncio.gather(*map(one, actions))


async def run_loop(site: Site, transport: Transport[Told], *, events: int = EVENTS) -> None:
    """The loop; fails unless the tasks are exactly the bucket. `events`: how many the bucket raises at least."""
    site.configure(
        sources=transport.sources,
        every=3600,
        media="signed",
        on_change="replace",
        on_delete="retire",
        include=["*.jpg"],
    )
    await asyncio.to_thread(site.start)
    await live(transport)
    held: Sequence[Told] = []
    while len(held) < events:
        held = await asyncio.wait_for(_more(transport, len(held)), 60)
    await transport.tell(made_worse(held, random.Random(_SEED)), site.port)
    await asyncio.to_thread(until, "all events worked off", lambda: not waiting(site), timeout=90)
    assert not doubled(site)
    done = await asyncio.to_thread(site.cli, "reconcile")
    assert done.returncode == 0, done.stderr
    bucket = Counter((await transport.versions()).items())
    assert len(bucket) == OBJECTS - DELETED + BACK
    await asyncio.to_thread(until, "the tasks are the bucket", lambda: tasks(site) == bucket, timeout=60)
    await see_pictures(site)


async def see_pictures(site: Site) -> None:
    """What a browser gets for some tasks is their objects; each holds its key."""
    async with aiohttp.ClientSession() as browser:
        for task in site.tasks()[:3]:
            async with browser.get(task["data"]["image"]) as answer:
                assert answer.status == 200
                assert (await answer.text()).endswith(task["meta"]["syncd"]["key"])


async def run_folder_loop(site: Site) -> None:
    """The same in a folder; the daemon is away while one in five things happens, and killed before that."""
    folder = Folder(site.folder)
    site.configure(every=3600, on_change="replace", on_delete="retire", include=["*.jpg"])
    daemon = await asyncio.to_thread(site.start)
    await live(folder)
    site.kill(daemon)
    for n in range(EVENTS // 5):
        await folder.put(f"away/{n}.jpg", b"while nobody looked")
    await asyncio.to_thread(site.start)
    done = await asyncio.to_thread(site.cli, "reconcile")
    assert done.returncode == 0, done.stderr
    bucket = Counter((await folder.versions()).items())
    await asyncio.to_thread(until, "the tasks are the folder", lambda: tasks(site) == bucket, timeout=60)


class Folder:
    """A folder as a bucket."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, data: bytes) -> None:
        """As `Transport` says."""
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    async def delete(self, key: str) -> None:
        """As `Transport` says."""
        (self._root / key).unlink()

    async def versions(self) -> Mapping[str, str]:
        """As `Transport` says."""
        files = {str(path.relative_to(self._root)): path.stat() for path in self._root.rglob("*.jpg")}
        return {key: file_etag(stat.st_mtime_ns, stat.st_size) for key, stat in files.items()}


async def _more(transport: Transport[Told], than: int) -> Sequence[Told]:
    while len(found := await transport.held()) <= than:
        await asyncio.sleep(0.2)
    return found


def tasks(site: Site) -> Counter[tuple[str, str]]:
    """(key, version) of every task in Label Studio; doubles would show."""
    lineages = [task["meta"]["syncd"] for task in site.tasks()]
    return Counter((lineage["key"], lineage["version_id"] or lineage["etag"]) for lineage in lineages)


def doubled(site: Site) -> list[tuple[str, str]]:
    """Tasks that are there more than once."""
    return [task for task, times in tasks(site).items() if times > 1]


def waiting(site: Site) -> int:
    """Subjects that are not settled yet."""
    return sum(dataset["waiting"] for dataset in site.json("status"))
