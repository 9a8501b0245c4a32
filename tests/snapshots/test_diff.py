"""Diffs of real tables: the same as in memory, reading only the rows that changed."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.diff import Update
from syncd.domain.model import Row, RowStatus
from syncd.domain.splits import Splits
from syncd.ports import SnapshotStore
from syncd.snapshots.memory import MemorySnapshots
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import Table
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import gone, put

CHANGES = st.one_of(
    st.builds(gone, st.sampled_from("12345")),
    st.builds(
        put,
        st.sampled_from("12345"),
        key=st.sampled_from(["a", "b", None]),
        labels=st.sampled_from([(), ("cat",), ("cat", "dog")]),
        status=st.sampled_from([RowStatus.SUBMITTED, RowStatus.SKIPPED]),
        lead_time=st.sampled_from([None, 1.5]),
    ),
)


@pytest.fixture(params=["memory", "folder", "seaweed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    if request.param == "memory":
        return MemorySnapshots(clock=FakeClock())
    if request.param == "folder":
        return LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    server: Seaweed = request.getfixturevalue("seaweed")
    return LanceSnapshots(server.fresh(), clock=FakeClock(), storage_options=server.options)


async def test_an_updated_row_tells_its_object_its_fields_and_its_labels(store: SnapshotStore) -> None:
    first = [put("1", key="it's.jpg", labels=("cat", "owl")), put("2", key="b.jpg"), put("3")]
    await store.commit("fruits", first, "h", Splits())
    changes = [put("1", key="it's.jpg", labels=("dog", "owl"), lead_time=2.0), put("2", key="b.jpg", retired=True)]
    await store.commit("fruits", changes, "h", Splits())
    there, back = await store.diff("fruits", 1, 2), await store.diff("fruits", 2, 1)
    one, two = Update("1", "it's.jpg", ("labels", "lead_time"), ("dog",), ("cat",)), Update("2", "b.jpg", ("retired",))
    assert there.updated == (one, two)
    assert back.updated == (Update("1", "it's.jpg", one.fields, ("cat",), ("dog",)), two)
    assert (back.before, back.after) == (there.after, there.before)
    assert sum(there.after.splits.values()) == 3


@settings(deadline=None, max_examples=12)
@given(st.lists(st.lists(CHANGES, min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_diff_of_a_random_history_is_that_of_memory(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[Any]]
) -> None:
    asyncio.run(_same_as_in_memory(tmp_path_factory.mktemp("lance"), history))


async def _same_as_in_memory(folder: Path, history: list[list[Any]]) -> None:
    lance, memory = LanceSnapshots(folder.as_uri(), clock=FakeClock()), MemorySnapshots(clock=FakeClock())
    for changes in history:
        for store in (lance, memory):
            await store.commit("fruits", changes, "h", Splits())
    numbers = [version.number for version in await memory.versions("fruits")]
    for before in [0, *numbers]:
        for after in numbers:
            assert await lance.diff("fruits", before, after) == await memory.diff("fruits", before, after)


async def test_whole_rows_are_read_of_the_updated_ones_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    await store.commit("fruits", [put(str(n)) for n in range(50)], "h")
    await store.commit("fruits", [put("7", labels=("dog",)), put("new"), gone("9")], "h")
    asked: list[list[str]] = []
    real = Table.rows_of

    def rows_of(table: Table, ids: Iterable[str]) -> list[Row]:
        asked.append(list(ids))
        return real(table, asked[-1])

    monkeypatch.setattr(Table, "rows_of", rows_of)
    monkeypatch.setattr(Table, "rows", None)
    found = await store.diff("fruits", 1, 2)
    assert asked == [["7"], ["7"]]
    assert (found.inserted, found.deleted) == (("new",), ("9",))
