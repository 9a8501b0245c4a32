"""Pages of `walk_versions` never cut an object, whatever lies on their edges."""

from pathlib import Path

import pytest

from syncd.domain.model import TaskState
from syncd.state import open_state, sql_records
from tests.clock import FakeClock
from tests.contracts.test_state_store import record


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 100])
async def test_every_record_comes_once_and_objects_stay_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(sql_records, "_VERSIONS_PAGE", size)
    state = await open_state(tmp_path / "state.db", FakeClock())
    of_each = {"a": 1, "b": 3, "c": 1, "d": 5, "e": 1, "f": 2}
    tasks = iter(range(1, 100))
    records = [record(key, str(next(tasks)), serial=n) for key, count in of_each.items() for n in range(count)]
    await state.record(records)
    dataset, bucket = records[0].dataset, records[0].ref.bucket
    pages = [[tuple(row) for row in page] async for page in state.walk_versions(dataset, bucket)]
    rows = [row for page in pages for row in page]
    assert [row[0] for row in rows] == [key for key, count in of_each.items() for _ in range(count)]
    for key, count in of_each.items():
        assert [count] == [n for page in pages if (n := sum(row[0] == key for row in page))]
    assert {row[3] for row in rows} == {TaskState.ACTIVE.value}
    within = [row async for page in state.walk_versions(dataset, bucket, after="b", upto="d") for row in page]
    assert [row[0] for row in within] == ["c", *"ddddd"]
    await state.close()
