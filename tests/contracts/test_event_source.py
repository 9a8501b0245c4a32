"""What every event source keeps to (`ports.EventSource`), over the reference, the folder, SQS on an emulator,
and Pub/Sub on a double."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest

from syncd.domain.errors import Retryable
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import BadEvent
from syncd.ports import EventSource, Seen
from syncd.runtime.clock import SystemClock
from syncd.sources.folder import FolderOptions, FolderSource
from syncd.sources.memory import MemorySource
from syncd.sources.pubsub import PubSubOptions, PubSubSource
from syncd.stores import Stores
from syncd.stores.memory import MemoryStore
from tests.aws_emulators import Emulator
from tests.clock import FakeClock
from tests.pubsub_double import SUBSCRIPTION, PubSubDouble, gcs_attributes, gcs_data
from tests.sources.sqs_world import sqs_world
from tests.sources.waiting import until


class World(Protocol):
    """A source under test, and how the world makes it speak."""

    source: EventSource

    def put(self, key: str) -> None: ...

    def delete(self, key: str) -> None: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.store = MemoryStore("memory://photos", FakeClock())
        self._memory = MemorySource("memory", self.store)
        self.source: EventSource = self._memory

    def put(self, key: str) -> None:
        self._memory.emit(self.store.put(key, b"x"))

    def delete(self, key: str) -> None:
        self._memory.emit(self.store.delete(key))


class FolderWorld:
    def __init__(self, root: Path) -> None:
        self.root = root
        options = FolderOptions(path=root, settle=0.1)
        self.source: EventSource = FolderSource(
            "folder", options, stores=Stores({}, SystemClock()), clock=SystemClock()
        )

    def put(self, key: str) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")

    def delete(self, key: str) -> None:
        (self.root / key).unlink()


class Taker:
    """Takes what is delivered, after `refusals` refusals; notes when two deliveries overlap."""

    def __init__(self) -> None:
        self.refusals = 0
        self.latest: dict[ObjectRef, Observation] = {}
        self.calls = 0
        self.overlapped = False
        self.largest = 0
        self.rescans = 0
        self._busy = False

    async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        self.calls += 1
        self.overlapped |= self._busy
        self._busy = True
        await asyncio.sleep(0)
        self._busy = False
        self.largest = max(self.largest, len(seen))
        if self.calls <= self.refusals:
            raise Retryable("the state store is busy", retry_after=0.01)
        self.latest.update(seen)

    def rescan(self) -> None:
        self.rescans += 1

    def present(self) -> set[str]:
        return {ref.key for ref, seen in self.latest.items() if not seen.gone}

    def gone(self) -> set[str]:
        return {ref.key for ref, seen in self.latest.items() if seen.gone}


@asynccontextmanager
async def running(world: World, taker: Taker) -> AsyncIterator[asyncio.Task[None]]:
    job = asyncio.create_task(world.source.run(taker.deliver, taker.rescan))
    if isinstance(world, FolderWorld):  # it asks for a rescan as soon as it watches
        await until("the watch stands", lambda: taker.rescans)
    try:
        yield job
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


class PubSubWorld:
    def __init__(self, double: PubSubDouble) -> None:
        self._double = double
        self._generation = 0
        stores = Stores({"photos": MemoryStore("gs://photos", FakeClock())}, FakeClock())
        options = PubSubOptions(subscription=SUBSCRIPTION, buckets=("photos",), endpoint=double.url, batch=1000)
        self.source: EventSource = PubSubSource("pubsub", options, stores=stores, clock=SystemClock())

    def put(self, key: str) -> None:
        self._tell(key, "OBJECT_FINALIZE")

    def delete(self, key: str) -> None:
        self._tell(key, "OBJECT_DELETE")

    def _tell(self, key: str, event: str) -> None:
        self._generation += 1
        attributes = gcs_attributes(key, generation=self._generation, event=event)
        self._double.publish(attributes, gcs_data(key, generation=self._generation, size=1))


@pytest.fixture(params=["memory", "folder", "sqs", "pubsub"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    if request.param == "pubsub":
        async with PubSubDouble().serving() as double:
            yield PubSubWorld(double)
        return
    if request.param != "sqs":
        yield MemoryWorld() if request.param == "memory" else FolderWorld(tmp_path)
        return
    server: Emulator = request.getfixturevalue("ministack")
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    async with sqs_world(server) as made:
        yield made


async def test_new_objects_arrive_with_what_is_needed_to_act_on_them(world: World) -> None:
    taker = Taker()
    async with running(world, taker):
        wanted = {"a.jpg", "deep/down/b c.jpg", "100%.jpg"}
        for key in wanted:
            world.put(key)
        await until("all arrived", lambda: taker.present() == wanted)
    for ref, seen in taker.latest.items():
        assert ref.bucket in world.source.stores
        assert seen.etag
        assert seen.size == 1


async def test_an_overwrite_and_a_delete_arrive(world: World) -> None:
    taker = Taker()
    async with running(world, taker):
        world.put("a")
        await until("it arrived", lambda: taker.present() == {"a"})
        (first,) = taker.latest.values()
        world.put("a")
        await until("it arrived anew", lambda: [s.etag for s in taker.latest.values()] != [first.etag])
        world.delete("a")
        await until("its end arrived", lambda: taker.gone() == {"a"})


async def test_what_was_not_taken_is_delivered_again(world: World) -> None:
    taker = Taker()
    taker.refusals = 3
    async with running(world, taker):
        wanted = {f"{i}.jpg" for i in range(20)}
        for key in wanted:
            world.put(key)
        await until("all arrived", lambda: taker.present() == wanted)
    assert taker.calls > 3


async def test_deliveries_come_one_at_a_time_and_in_bounded_batches(world: World) -> None:
    taker = Taker()
    async with running(world, taker):
        wanted = {f"{i}.jpg" for i in range(2_500)}
        for key in wanted:
            world.put(key)
        await until("all arrived", lambda: taker.present() == wanted, within=60)
    assert not taker.overlapped
    assert taker.largest <= 1_000


async def test_an_error_that_is_no_retryable_is_not_hidden(world: World) -> None:
    taker = Taker()

    async def deliver(seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        raise ZeroDivisionError

    job = asyncio.create_task(world.source.run(deliver, taker.rescan))
    if isinstance(world, FolderWorld):
        await until("the watch stands", lambda: taker.rescans)
    world.put("a")
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(job, 20)


@pytest.mark.parametrize("refusing", [False, True])
async def test_a_cancelled_run_ends_at_once_and_leaves_no_thread(world: World, refusing: bool) -> None:
    taker = Taker()
    taker.refusals = 1_000_000 if refusing else 0
    before = Counter(type(thread).__name__ for thread in threading.enumerate())
    async with running(world, taker) as job:
        world.put("a")
        await until("it speaks", lambda: taker.calls)
        job.cancel()
        _, still_running = await asyncio.wait([job], timeout=5)
        assert not still_running
        assert job.cancelled()
    after = Counter(type(thread).__name__ for thread in threading.enumerate() if type(thread) is not threading.Thread)
    assert not after - before
