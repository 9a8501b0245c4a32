"""Any history on Lance reads as the same history in memory: commits, compactions, collections, tags, restores."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.domain.model import StagedChange
from syncd.domain.splits import Splits
from syncd.ports import Retention
from syncd.snapshots.compaction import compact
from syncd.snapshots.location import open_root
from syncd.snapshots.memory import MemorySnapshots
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import Table
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put

KEYS = st.sampled_from("abcdef")
CHANGE = st.one_of(
    st.builds(lambda id_, task: put(id_, task_id=str(task), key=f"{id_}.jpg"), KEYS, st.integers(0, 3)),
    st.builds(gone, KEYS),
)
STEP = st.one_of(
    st.tuples(st.just("commit"), st.lists(CHANGE, min_size=1, max_size=6)),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("collect"), st.integers(1, 3)),
    st.tuples(st.just("tag"), st.integers(0, 5)),
    st.tuples(st.just("restore"), st.integers(0, 5)),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, min_size=4, max_size=14))
def test_every_history_reads_the_same(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_same(Path(folder), steps))


async def _same(folder: Path, steps: list[tuple[str, Any]]) -> None:
    real = LanceSnapshots(folder.as_uri(), clock=FakeClock(), spare=0)
    model = MemorySnapshots(clock=FakeClock())
    for step, given_ in steps:
        if step == "compact":
            root = open_root(folder.as_uri(), make=True)
            if table := Table.open(root, "fruits"):
                compact(root, table, many=2)
            continue
        assert await _done(real, step, given_) == await _done(model, step, given_)
        await _equal(real, model)
    versions = await real.versions("fruits")
    assert await real.verify("fruits", *(info.number for info in versions)) == []


async def _done(store: LanceSnapshots | MemorySnapshots, step: str, given_: Any) -> Any:
    """The step; what it gave, as far as both know it."""
    if step == "commit":
        changes: list[StagedChange] = given_
        made = await store.commit("fruits", changes, "h", Splits())
        return made and (made.number, made.rows, made.inserted, made.updated, made.deleted, made.by_status)
    versions = await store.versions("fruits")
    if not versions:
        return None
    if step == "collect":
        return (await store.collect_garbage("fruits", Retention(versions=given_, age=0))).versions
    number = versions[given_ % len(versions)].number
    if step == "tag":
        return await store.tag("fruits", "best", number)
    restored = await store.restore("fruits", number)
    return restored and (restored.number, restored.rows, restored.restored_from)


async def _equal(real: LanceSnapshots, model: MemorySnapshots) -> None:
    versions = await model.versions("fruits")
    assert [info.number for info in await real.versions("fruits")] == [info.number for info in versions]
    assert await real.tags("fruits") == await model.tags("fruits")
    for info in versions:
        assert await real.rows("fruits", info.number) == await model.rows("fruits", info.number)
        ends = (info.number, versions[-1].number)
        assert await real.diff("fruits", *ends) == await model.diff("fruits", *ends)
