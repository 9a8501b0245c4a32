"""Events of one key in every order, late and doubled, worked on in between: the end is always what the bucket holds.

All 720 orders of six events are played at once, each on a key of its own. A sender either numbers its events (a
sequencer), or says nothing that could be ordered: then its events are reasons to look, and no more.
"""

import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from syncd.domain.model import Kind, Mark, ObjectRef, Observation, Subject, TaskState
from syncd.flows.ingest import ingest
from tests.flows.world import BUCKET, NAME, World

History = Sequence[str]
"""What happened to an object, in order: the etag that was written, or an empty text for a deletion."""

HISTORIES: dict[str, History] = {
    "ends as it was written last": ("a", "b", "", "c", "d", "e"),
    "ends deleted": ("a", "b", "", "c", "d", ""),
    "comes and goes": ("a", "", "b", "", "c", ""),
    "comes back at the end": ("a", "", "b", "", "", "c"),
    "comes back with the bytes it had": ("a", "", "a", "b", "", "a"),
    "is only deleted": ("", "", "", "", "", ""),
}
ORDERS = list(itertools.permutations(range(6)))
SOME = ORDERS if os.environ.get("SYNCD_ALL_ORDERS") else ORDERS[1::5]
"""For what goes beyond all orders of single events, a fifth does on ordinary days."""


def numbered(history: History, index: int, at: float) -> Observation:
    """An event of S3: numbered, with the etag."""
    sequencer = f"s3:{index + 16:X}"
    if not history[index]:
        return Observation(at, sequencer=sequencer, gone=True)
    return Observation(at, etag=history[index], sequencer=sequencer, size=1)


def silent(history: History, index: int, at: float) -> Observation:
    """An event of SeaweedFS: it happened."""
    return Observation(at, gone=not history[index])


def now_silent_now_numbered(history: History, index: int, at: float) -> Observation:
    """Not every event of a sender has a sequencer: S3's restores have none."""
    return (silent if index % 3 == 2 else numbered)(history, index, at)


Sender = Callable[[History, int, float], Observation]


@dataclass
class Stage:
    """One world in which each key lives through the same history, and hears of it in an order of its own."""

    world: World
    history: History
    sender: Sender

    def ref(self, n: int) -> ObjectRef:
        return ObjectRef(BUCKET, f"{n:04}")

    def happen(self, n: int, upto: int) -> None:
        """The bucket goes on to that event; every second key was through with all before the first was told."""
        etag = self.history[-1 if n % 2 else upto]
        objects = self.world.store._objects
        if etag:
            objects[self.ref(n).key] = (b"x", etag)
        else:
            objects.pop(self.ref(n).key, None)

    async def tell(self, n: int, index: int) -> None:
        seen = self.sender(self.history, index, self.world.clock.now())
        await self.world.state.mark([Mark(Subject(Kind.OBJECT, NAME, self.ref(n).id), seen)])

    async def play(self, orders: Sequence[Sequence[int]], works: Iterator[str]) -> None:
        """Tell each key its events; after each of them, work as `works` says: not, to the end, or across the next."""
        furthest = [-1] * len(orders)
        held: list[object] = []
        for step in range(max(map(len, orders))):
            self.world.clock.advance(1)
            for n, order in enumerate(orders):
                if step < len(order):
                    furthest[n] = max(furthest[n], order[step])
                    self.happen(n, furthest[n])
                    await self.tell(n, order[step])
            await self.finish(held)
            how = next(works)
            if how == "across":
                held = [*await self.world.state.claim(limit=len(orders), lease=60)]
            elif how == "work":
                await self.world.work()
        await self.finish(held)
        await self.world.work(seconds=3)

    async def finish(self, held: list[object]) -> None:
        """What was taken before the last events came is finished after them."""
        objects = [claim for claim in held if claim.subject.kind is Kind.OBJECT]  # type: ignore[attr-defined]
        if objects:
            await self.world.state.settle(await ingest(self.world.dataset, objects))  # type: ignore[arg-type]
        held.clear()

    async def tasks_in_work(self) -> dict[str, list[str]]:
        """Key → the versions of it that people may work on, as recorded; the annotator agrees."""
        records = [r async for page in self.world.state.walk(NAME, BUCKET) for r in page if r.state is TaskState.ACTIVE]
        found: dict[str, list[str]] = {}
        for record in records:
            found.setdefault(record.ref.key, []).append(record.etag or "")
        there = self.world.tasks()
        assert {key: len(ids) for key, ids in there.items()} == {key: len(etags) for key, etags in found.items()}
        assert {r.task_id for r in records} == {id_ for ids in there.values() for id_ in ids}
        return found


def now_and_then(seed: str) -> Iterator[str]:
    chance = random.Random(seed)
    return iter(lambda: chance.choice(["no", "work", "across"]), "")


def doubled(order: Sequence[int], chance: random.Random) -> list[int]:
    """Each event once, twice or three times, in any order."""
    events = [index for index in order for _ in range(chance.randint(1, 3))]
    chance.shuffle(events)
    return events


async def stage(history: str, sender: Sender, *, on_change: str = "replace") -> Stage:
    on_delete = "retire" if on_change == "replace" else "keep"
    world = await World(on_change=on_change, on_delete=on_delete).open()
    world.faulty.inline_text = False  # type: ignore[attr-defined]  # the annotator's own ways are slow
    world.faulty.task_data = lambda ref, _: {"image": ref.key}  # type: ignore[attr-defined]
    return Stage(world, HISTORIES[history], sender)


async def assert_as_the_bucket(played: Stage, orders: Sequence[Sequence[int]]) -> None:
    last = played.history[-1]
    tasks = await played.tasks_in_work()
    for n, order in enumerate(orders):
        assert tasks.get(played.ref(n).key, []) == ([last] if last else []), order
    assert await played.world.state.dead_letters() == []


SENDERS = pytest.mark.parametrize("sender", [numbered, silent, now_silent_now_numbered])
HISTORY = pytest.mark.parametrize("history", HISTORIES)


@HISTORY
@SENDERS
async def test_every_order_ends_as_the_bucket(history: str, sender: Sender) -> None:
    played = await stage(history, sender)
    await played.play(ORDERS, now_and_then(f"{history} {sender.__name__}"))
    await assert_as_the_bucket(played, ORDERS)


@SENDERS
@pytest.mark.parametrize("how", ["no", "work", "across"])
async def test_however_often_it_is_worked_on_in_between(sender: Sender, how: str) -> None:
    played = await stage("comes and goes", sender)
    await played.play(SOME, itertools.repeat(how))
    await assert_as_the_bucket(played, SOME)


@HISTORY
@SENDERS
async def test_with_events_up_to_three_times_in_any_order(history: str, sender: Sender) -> None:
    chance = random.Random(f"{history} {sender.__name__}")
    orders = [doubled(order, chance) for order in SOME]
    played = await stage(history, sender)
    await played.play(orders, now_and_then(history))
    await assert_as_the_bucket(played, orders)


@HISTORY
@SENDERS
async def test_where_old_tasks_stay_no_version_has_two_and_the_last_has_one(history: str, sender: Sender) -> None:
    chance = random.Random(history)
    orders = [doubled(order, chance) for order in SOME]
    played = await stage(history, sender, on_change="new-task")
    await played.play(orders, now_and_then(history))
    last, tasks = played.history[-1], await played.tasks_in_work()
    for n, order in enumerate(orders):
        versions = tasks.get(played.ref(n).key, [])
        assert len(versions) == len(set(versions)), order
        assert not last or last in versions, order


@SENDERS
async def test_one_lost_event_of_each_key_is_made_good_by_a_listing(sender: Sender) -> None:
    played = await stage("ends as it was written last", sender)
    orders = [order[:lost] + order[lost + 1 :] for n, order in enumerate(SOME) if (lost := n % 6) is not None]
    await played.play(orders, now_and_then("lost"))
    for n in range(len(orders)):
        played.happen(n, 5)
    await played.world.reconcile()
    await assert_as_the_bucket(played, orders)


@HISTORY
@SENDERS
async def test_a_listing_in_between_changes_nothing_at_the_end(history: str, sender: Sender) -> None:
    """It is a sight without an order, and may be older than what was told since."""
    played = await stage(history, sender)
    await played.play([order[:3] for order in SOME], now_and_then(history))
    listed = [seen async for page in played.world.store.list() for seen in page]
    for n, order in enumerate(SOME):
        played.happen(n, 5)
        for index in order[3:]:
            await played.tell(n, index)
    await played.world.work()
    await played.world.state.mark([Mark(Subject(Kind.OBJECT, NAME, ref.id), seen) for ref, seen in listed])
    await played.world.work(seconds=3)
    await assert_as_the_bucket(played, SOME)
