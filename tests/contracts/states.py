"""The state stores there are, for every suite that holds them to the contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from syncd.ports import StateStore
from syncd.state import MemoryState, open_state
from tests.clock import FakeClock

Opening = Callable[[FakeClock], Awaitable[StateStore]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Path | str:
    """Where an empty database is, of each dialect."""
    return _place(request, request.param)


def _place(request: pytest.FixtureRequest, kind: str) -> Path | str:
    """Only who asks for PostgreSQL has a server started."""
    if kind == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    directory: Path = request.getfixturevalue("tmp_path")
    return directory / "state.db"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest) -> Opening:
    """Opens one of them, empty, on a clock."""
    if request.param == "memory":
        return _memory
    return partial(open_state, _place(request, request.param), virtual=True)


async def _memory(clock: FakeClock) -> StateStore:
    return MemoryState(clock)


@pytest.fixture
async def state(open_store: Opening, clock: FakeClock) -> AsyncIterator[StateStore]:
    """Each of them, empty."""
    store = await open_store(clock)
    yield store
    await store.close()
