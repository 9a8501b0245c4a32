"""A listing that was cut off goes on where it stopped, takes its time where it has to, and never retires by halves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from syncd.domain.errors import Retryable
from syncd.domain.model import Kind, TaskState
from syncd.flows.reconcile import Caution, Course, Findings, NoRoom, Pace, objects, reconcile_objects
from syncd.ports import Seen
from syncd.stores.memory import MemoryStore
from tests.flows.world import BUCKET, NAME, Crash, World

PAGE = 10
PAGES = 12
KEYS = [f"{n:04}" for n in range(PAGE * PAGES)]


class Listed(MemoryStore):
    """Short pages, each of them noted; the process dies, or the store fails, once so many were brought."""

    pages: list[str]
    dies_after: int | None = None
    fails_after: int | None = None

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        brought = 0
        async for page in super().list(after=after):
            for start in range(0, len(page), PAGE):
                if brought == self.dies_after:
                    raise Crash
                if brought == self.fails_after:
                    raise Retryable("the store is down")
                self.pages.append(page[start][0].key)
                brought += 1
                yield page[start : start + PAGE]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "CHUNK", PAGE)
    monkeypatch.setattr(objects, "BATCH", PAGE)
    monkeypatch.setattr(objects, "REMEMBERED", 5)


async def opened() -> World:
    world = await World(on_change="replace", on_delete="retire").open()
    store = Listed(BUCKET, world.clock)
    store.pages = []
    world.store = world.dataset.stores[BUCKET] = store  # type: ignore[index]
    return world


@pytest.fixture
async def world() -> World:
    """Everything in the bucket has its task."""
    world = await opened()
    for key in KEYS:
        await world.put(key)
    await world.work()
    return world


def listed(world: World) -> Listed:
    assert isinstance(world.store, Listed)
    return world.store


async def look(world: World, caution: Caution | None = None, **course: Any) -> Findings:
    return await reconcile_objects(world.dataset, world.store, caution or Caution(), Course(looker="daemon", **course))


async def cut_off(world: World, pages: int, caution: Caution | None = None) -> None:
    """A look that ends as `kill -9` ends it."""
    listed(world).dies_after = pages
    with pytest.raises(Crash):
        await look(world, caution)
    listed(world).dies_after = None
    world.restart()


async def test_after_a_crash_no_page_is_listed_again_and_the_end_is_exactly_right(world: World) -> None:
    for n in range(0, PAGE * PAGES, 7):
        await world.put(KEYS[n], b"other", lost=True)
        await world.put(f"{KEYS[n]} new", lost=True)
    whole = [page async for page in world.store.list()]
    listed(world).pages.clear()
    await cut_off(world, 5)
    await cut_off(world, 4)
    findings = await look(world)
    assert listed(world).pages == [page[0][0].key for page in whole], "each page once"
    assert findings.resumed
    assert (findings.new, findings.changed, findings.seen) == (18, 18, len(KEYS) + 18)
    await world.work()
    assert set(world.tasks()) == set(world.store._objects)
    assert not (await look(world)).resumed


async def test_a_store_that_fails_in_the_middle_is_listed_from_there_on_next_time(world: World) -> None:
    listed(world).fails_after = 7
    with pytest.raises(Retryable):
        await look(world)
    listed(world).fails_after = None
    listed(world).pages.clear()
    assert (await look(world)).seen == len(KEYS)
    assert listed(world).pages == KEYS[70::PAGE]


async def test_where_it_never_gets_beyond_a_place_it_starts_at_the_beginning_again(world: World) -> None:
    listed(world).fails_after = 7
    with pytest.raises(Retryable):
        await look(world)
    listed(world).fails_after = 0
    with pytest.raises(Retryable):
        await look(world)
    await world.put("0000 new", lost=True)
    listed(world).fails_after = 7
    with pytest.raises(Retryable):
        await look(world)
    await world.work()
    assert "0000 new" in world.tasks(), "what lies before that place is not forgotten"


@pytest.mark.parametrize("pages", [1, 3, 5])
async def test_deletions_are_judged_by_the_whole_picture_after_a_crash_too(world: World, pages: int) -> None:
    for key in KEYS[:50]:
        await world.delete(key, lost=True)
    await cut_off(world, pages)
    findings = await look(world, Caution(retire_limit=0.3))
    assert "50 of 120 are missing" in findings.refused, "not only those behind the place"
    await world.work()
    assert set(world.tasks()) == set(KEYS)


async def test_what_was_missing_before_the_crash_is_retired_after_it(world: World) -> None:
    for key in KEYS[::6]:
        await world.delete(key, lost=True)
    await cut_off(world, 6)
    await look(world)
    await world.work()
    assert set(world.tasks()) == set(KEYS) - set(KEYS[::6])


@pytest.mark.parametrize("pages", [0, 1, 4])
async def test_a_crash_while_it_retires_is_made_good(world: World, pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS[::2]:
        await world.delete(key, lost=True)
    second = world.store.list

    def dies_in_the_second(*, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        listed(world).dies_after = pages if listed(world).pages and not after else None
        return second(after=after)

    monkeypatch.setattr(world.store, "list", dies_in_the_second)
    with pytest.raises(Crash):
        await look(world)
    listed(world).dies_after = None
    monkeypatch.setattr(world.store, "list", second)
    world.restart()
    findings = await look(world)
    assert (findings.gone, findings.refused) == (60, "")
    await world.work()
    assert set(world.tasks()) == set(KEYS[1::2])


async def test_an_outage_that_begins_while_it_retires_is_not_believed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in KEYS[:20]:
        await world.delete(key, lost=True)
    second = world.store.list

    def empty_the_second_time(*, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        if listed(world).pages and not after:
            world.store._objects.clear()
        return second(after=after)

    monkeypatch.setattr(world.store, "list", empty_the_second_time)
    findings = await look(world)
    assert "120 of 120 are missing" in findings.refused
    await world.work()
    assert len(world.tasks()) == 120


async def test_a_bucket_that_is_suddenly_empty_is_retired_only_when_forced(world: World) -> None:
    world.store._objects.clear()
    assert "retire_limit" in (await look(world)).refused
    await world.work()
    assert len(world.tasks()) == 120
    assert (await look(world, Caution(force=True))).gone == 120
    await world.work()
    assert world.tasks() == {}


async def test_a_place_of_long_ago_is_not_gone_on_from(world: World) -> None:
    await cut_off(world, 6)
    world.clock.advance(3601)
    assert not (await look(world)).resumed
    assert listed(world).pages[6] == KEYS[0]


async def test_looks_of_others_and_dry_runs_keep_out_of_each_others_places(world: World) -> None:
    await cut_off(world, 6)
    dry = await reconcile_objects(world.dataset, world.store, Caution(dry_run=True), Course(looker="daemon"))
    other = await reconcile_objects(world.dataset, world.store, Caution(), Course(looker="command"))
    assert not dry.resumed
    assert not other.resumed
    assert (await look(world)).resumed


async def test_many_more_may_be_missing_than_are_listed(world: World) -> None:
    for key in KEYS[1:]:
        await world.delete(key, lost=True)
    findings = await look(world, Caution(force=True))
    assert findings.gone == 119
    await world.work()
    assert set(world.tasks()) == {KEYS[0]}


# ---------------------------------------------------------------- pace


async def unknown_bucket(count: int) -> World:
    world = await opened()
    for n in range(count):
        await world.put(f"{n:04}", lost=True)
    return world


async def test_no_more_are_marked_a_second_than_the_rate() -> None:
    world = await unknown_bucket(100)
    before = world.clock.now()
    await look(world, pace=Pace(rate=5))
    assert 17 <= world.clock.now() - before <= 20, "the last batch is not waited for"


async def test_a_listing_waits_while_too_many_objects_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await unknown_bucket(100)
    most, sleep = [0], world.clock.sleep

    async def sleep_while_workers_work(seconds: float) -> None:
        most.append(sum(lane.pending for lane in await world.state.backlog() if lane.kind is Kind.OBJECT))
        await sleep(seconds)
        await world.work()

    monkeypatch.setattr(world.clock, "sleep", sleep_while_workers_work)
    told: list[int] = []
    await look(world, pace=Pace(most_waiting=20, told=told.append))
    await world.work()
    assert len(world.tasks()) == 100
    assert 20 < max(most) <= 40
    assert told


async def test_where_nobody_works_on_them_it_says_so_and_goes_on_there_later() -> None:
    world = await unknown_bucket(100)
    pace = Pace(most_waiting=20, idle=lambda: True)
    for _ in range(2):
        with pytest.raises(NoRoom, match="syncd run"):
            await look(world, pace=pace)
    await world.work()
    done = len(world.tasks())
    assert 20 < done < 50
    findings = await look(world)
    assert (findings.resumed, findings.new) == (True, 100)
    await world.work()
    assert len(world.tasks()) == 100


async def test_who_watches_hears_how_far_it_is(world: World) -> None:
    heard: list[int] = []
    await look(world, watch=lambda found: heard.append(found.seen))
    assert heard == list(range(PAGE, len(KEYS) + 1, PAGE))


# ---------------------------------------------------------------- what is not quite in order


async def test_a_listing_out_of_key_order_does_no_harm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [page async for page in world.store.list()]

    async def shuffled(*, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        for page in [*whole[6:], *whole[:6]]:
            yield list(reversed(page))

    monkeypatch.setattr(world.store, "list", shuffled)
    await look(world, Caution(force=True))
    await world.work()
    assert {key: len(tasks) for key, tasks in world.tasks().items()} == dict.fromkeys(KEYS, 1)


@pytest.mark.parametrize("state", [TaskState.DISCARDED, TaskState.REMOVED, TaskState.RETIRED])
async def test_records_that_are_not_in_work_are_told_apart(world: World, state: TaskState) -> None:
    first = next(r for page in [p async for p in world.state.walk(NAME, BUCKET)] for r in page)
    await world.state.record([replace(first, state=state)])
    findings = await look(world)
    assert (findings.new, findings.known) == (0 if state is TaskState.DISCARDED else 1, 119)


def test_a_look_that_is_cancelled_leaves_nothing_running() -> None:
    async def main() -> None:
        world = await unknown_bucket(100)
        job = asyncio.create_task(look(world, pace=Pace(rate=0.001)))
        await asyncio.sleep(0)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)

    asyncio.run(main())
