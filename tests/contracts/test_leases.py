"""Leases keep several daemons from doing the same at once: every sentence of `ports.Leases`, on every store."""

import asyncio

import pytest

from syncd.ports import StateStore
from tests.clock import FakeClock
from tests.contracts.states import clock, open_store, state

__all__ = ["clock", "open_store", "state"]

NAME = "reconcile päts 'x'"


async def test_a_lease_is_held_by_one_until_it_runs_out(state: StateStore, clock: FakeClock) -> None:
    assert await state.hold(NAME, holder="a", seconds=60)
    assert not await state.hold(NAME, holder="b", seconds=60)
    clock.advance(59.9)
    assert not await state.hold(NAME, holder="b", seconds=60)
    clock.advance(0.1)
    assert await state.hold(NAME, holder="b", seconds=60)
    assert not await state.hold(NAME, holder="a", seconds=60)


async def test_its_holder_renews_it_from_now_on(state: StateStore, clock: FakeClock) -> None:
    assert await state.hold(NAME, holder="a", seconds=60)
    clock.advance(50)
    assert await state.hold(NAME, holder="a", seconds=60)
    clock.advance(50)
    assert not await state.hold(NAME, holder="b", seconds=60)
    assert await state.hold(NAME, holder="a", seconds=5)
    clock.advance(5)
    assert await state.hold(NAME, holder="b", seconds=60)


async def test_a_lease_that_is_given_back_is_free_at_once(state: StateStore) -> None:
    assert await state.hold(NAME, holder="a", seconds=60)
    await state.release(NAME, holder="a")
    await state.release(NAME, holder="a")
    assert await state.hold(NAME, holder="b", seconds=60)


async def test_nobody_gives_back_what_another_holds(state: StateStore) -> None:
    assert await state.hold(NAME, holder="a", seconds=60)
    await state.release(NAME, holder="b")
    assert not await state.hold(NAME, holder="b", seconds=60)


async def test_leases_of_other_names_are_others(state: StateStore) -> None:
    assert await state.hold(NAME, holder="a", seconds=60)
    assert await state.hold(f"{NAME}!", holder="b", seconds=60)


@pytest.mark.parametrize("round_", range(3))
async def test_of_many_who_ask_at_once_one_gets_it(state: StateStore, round_: int) -> None:
    asked = [state.hold(f"{NAME} {round_}", holder=str(number), seconds=60) for number in range(8)]
    assert sum(await asyncio.gather(*asked)) == 1


async def test_who_holds_what_is_told_by_the_beginning_of_its_name(state: StateStore, clock: FakeClock) -> None:
    for name, holder, seconds in (
        ("daemon b", "b", 60),
        ("daemon a%", "a", 60),
        ("daemon c", "c", 5),
        ("other", "d", 60),
    ):
        assert await state.hold(name, holder=holder, seconds=seconds)
    clock.advance(5)
    assert list((await state.holders("daemon ")).items()) == [("daemon a%", "a"), ("daemon b", "b")]
    assert await state.holders("daemon a%") == {"daemon a%": "a"}
    assert await state.holders("daemon %") == {}
