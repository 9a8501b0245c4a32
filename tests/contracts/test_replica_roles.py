"""What several replicas on one state hold on to: values that are made once, and leases that tell who is there."""

import asyncio

from syncd.ports import StateStore
from tests.clock import FakeClock
from tests.contracts.states import clock, open_store, state

__all__ = ["clock", "open_store", "state"]


async def test_of_values_that_several_make_at_once_one_is_kept_and_all_are_told_it(state: StateStore) -> None:
    told = await asyncio.gather(*(state.put_once("webhook-secret:photos", f"secret {n}") for n in range(8)))
    assert len(set(told)) == 1
    assert await state.get("webhook-secret:photos") == told[0]
    assert await state.put_once("webhook-secret:photos", "another") == told[0]


async def test_holders_are_those_of_leases_that_have_not_run_out(state: StateStore, clock: FakeClock) -> None:
    await state.hold("daemon:a", holder="a", seconds=10)
    await state.hold("daemon:b", holder="b", seconds=30)
    await state.hold("daemon%", holder="c", seconds=30)
    assert await state.holders("daemon:") == {"daemon:a": "a", "daemon:b": "b"}
    clock.advance(11)
    assert await state.holders("daemon:") == {"daemon:b": "b"}
    await state.release("daemon:b", holder="b")
    assert await state.holders("daemon:") == {}
