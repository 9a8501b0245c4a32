"""The state stores there are, for every suite that holds them to the contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from syncd.ports import StateStore
from syncd.state import MemoryState, open_state
from tests.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def _memory(_: Path, clock: FakeClock) -> StateStore:
    return MemoryState(clock)


async def _sqlite(directory: Path, clock: FakeClock) -> StateStore:
    return await open_state(directory / "state.db", clock)


ADAPTERS: dict[str, Callable[[Path, FakeClock], Awaitable[StateStore]]] = {"memory": _memory, "sqlite": _sqlite}


@pytest.fixture(params=ADAPTERS)
async def state(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[StateStore]:
    store = await ADAPTERS[request.param](tmp_path, clock)
    yield store
    await store.close()
