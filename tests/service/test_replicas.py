"""Several daemons on one state: whose turn it is, what is due, and who is there."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from syncd.config import is_server
from syncd.domain.model import Claim, Kind, Outcome, Settlement, Subject
from syncd.service.discovery import Finder
from syncd.service.replicas import PRESENT_S, Replica, daemons_of
from syncd.service.triggers import in_turn
from syncd.state import MemoryState
from tests.clock import FakeClock

SERVER = "postgresql://syncd@db/syncd"


def cluster(*, alone: bool = False) -> tuple[FakeClock, Replica, Replica]:
    """Two daemons on one state."""
    clock = FakeClock()
    one = Replica(MemoryState(clock), clock, 60.0, alone, "one")
    return clock, one, replace(one, name="two")


async def test_a_turn_is_one_daemons_until_it_ends() -> None:
    _, one, two = cluster()
    async with one.turn("objects:photos") as ours:
        assert ours
        async with two.turn("objects:photos") as theirs, two.turn("objects:others") as another:
            assert (theirs, another) == (False, True)
    async with two.turn("objects:photos") as theirs:
        assert theirs


async def test_the_turn_of_a_daemon_that_died_is_over_with_its_lease() -> None:
    clock, one, two = cluster()
    assert await one.state.hold("turn:objects:photos", holder="one", seconds=one.lease)
    clock.advance(59)
    async with two.turn("objects:photos") as ours:
        assert not ours
    clock.advance(2)
    async with two.turn("objects:photos") as ours:
        assert ours


async def test_a_turn_that_fails_is_over() -> None:
    _, one, two = cluster()
    with pytest.raises(ZeroDivisionError):
        async with one.turn("x"):
            _ = 1 / 0
    async with two.turn("x") as ours:
        assert ours


async def test_what_must_be_begun_once_is_begun_by_one_after_the_other() -> None:
    _, one, two = cluster()
    made: list[str] = []

    async def make(replica: Replica) -> None:
        async with replica.by_itself("dataset:photos"):
            if not made:
                await asyncio.sleep(0.01)
                made.append(replica.name)

    await asyncio.gather(*(make(replica) for replica in (one, two, one, two)))
    assert len(made) == 1


async def test_what_one_did_is_not_due_for_the_other() -> None:
    clock, one, two = cluster()
    assert await two.due_in("objects:photos", 300) == 0
    await one.done("objects:photos")
    clock.advance(100)
    assert await two.due_in("objects:photos", 300) == 200
    clock.advance(-1000)
    assert await two.due_in("objects:photos", 300) == 300, "a clock that was set back puts nothing off for ever"


async def test_a_file_has_one_daemon_that_asks_nobody() -> None:
    _, one, _ = cluster(alone=True)
    async with one.turn("x") as ours:
        assert ours
    await one.done("x")
    await one.present()
    assert await one.due_in("x", 300) == 0
    assert await one.others() == []
    assert await one.state.holders("") == {}


async def test_daemons_are_known_while_they_say_that_they_are_there() -> None:
    clock, one, two = cluster()
    await one.present()
    await two.present()
    assert await daemons_of(one.state, SERVER) == ["one", "two"]
    assert await one.others() == ["two"]
    await two.leave()
    assert await one.others() == []
    clock.advance(PRESENT_S + 1)
    assert await daemons_of(one.state, SERVER) == []


async def test_two_daemons_that_find_datasets_at_once_lose_none_and_learn_the_others() -> None:
    _, one, two = cluster()
    taken: dict[str, list[str]] = {"one": [], "two": []}

    def finder(replica: Replica) -> Finder:
        def take(_: str, name: str) -> None:
            taken[replica.name].append(name)

        made = Finder("teams", [], None, replica.state, [], None, take)  # type: ignore[arg-type]
        made.by_itself = replica.by_itself
        return made

    ours, theirs = finder(one), finder(two)
    await asyncio.gather(ours._remember("alpha"), theirs._remember("beta"))
    await ours.learn()
    await theirs.learn()
    await theirs.learn()
    assert sorted(taken["one"]) == sorted(taken["two"]) == ["alpha", "beta"]


def test_which_urls_are_shared_by_many() -> None:
    assert [is_server(url) for url in (SERVER, "postgres://x/y", "sqlite:////a/b.db")] == [True, True, False]


async def test_deliveries_of_a_trigger_wait_while_another_daemon_is_at_it() -> None:
    """A command is one at a time, whichever host it runs on."""
    _, one, two = cluster()
    claim = Claim(Subject(Kind.DELIVERY, "fruits/retrain", "1"), 1, token="t")
    begun, go = asyncio.Event(), asyncio.Event()

    async def train(_: str, claims: Sequence[Claim]) -> list[Settlement]:
        begun.set()
        await go.wait()
        return [Settlement(claim, Outcome.DONE) for claim in claims]

    first = asyncio.create_task(in_turn(one, train, "fruits/retrain", [claim]))
    await begun.wait()
    (waits,) = await in_turn(two, train, "fruits/retrain", [claim])
    assert (waits.outcome, waits.failed) == (Outcome.AGAIN, False)
    go.set()
    (done,) = await first
    assert done.outcome is Outcome.DONE
    (done,) = await in_turn(two, train, "fruits/retrain", [claim])
    assert done.outcome is Outcome.DONE
