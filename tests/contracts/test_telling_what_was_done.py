"""What annotators and snapshots tell of what was done: enough to make a lost state anew."""

from typing import Any

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import NewTask
from syncd.ports import AnnotatorDataset, SnapshotStore, TaskHeader, TaskLineage
from tests.annotators.person import choice
from tests.contracts.test_annotator import Bench, bench
from tests.contracts.test_snapshot_store import clock, store
from tests.snapshots.rows import put, row

__all__ = ["bench", "clock", "store"]


async def lineages(dataset: AnnotatorDataset) -> list[TaskLineage]:
    return [task async for page in dataset.lineages() for task in page]


async def test_a_task_tells_what_it_was_made_of_and_why_it_was_retired(bench: Bench) -> None:
    dataset = await bench.dataset()
    assert await lineages(dataset) == []
    meta: dict[str, Any] = {"syncd": {"bucket": "s3://b", "key": "ä b/1.jpg", "etag": None, "parts": {"left": {}}}}
    new = [NewTask(key, {"image": f"s3://b/{key}.jpg"}, meta) for key in ("one", "two", "three")]
    ids = await dataset.import_tasks("m", new)
    bench.person(dataset).submit(ids[1], choice("cat"))
    await dataset.retire([TaskHeader(ids[1], "two"), TaskHeader(ids[2], "three")], "object deleted")
    assert await lineages(dataset) == [
        TaskLineage(ids[0], "one", meta),
        TaskLineage(ids[1], "two", meta, "object deleted"),
    ]
    await dataset.restore([TaskHeader(ids[1], "two")])
    assert (await lineages(dataset))[1].retired == ""


async def test_all_rows_of_a_version_come_in_pages(store: SnapshotStore) -> None:
    await store.commit("fruits", [put(str(n)) for n in range(2500)], "h")
    await store.commit("fruits", [put("0", labels=("dog",))], "h")
    pages = [page async for page in store.pages("fruits", 2)]
    assert all(0 < len(page) <= 2500 for page in pages)
    rows = {one.annotation_id: one for page in pages for one in page}
    assert rows == {str(n): row(str(n)) for n in range(1, 2500)} | {"0": row("0", labels=("dog",))}
    assert sum(map(len, pages)) == 2500
    with pytest.raises(Rejected):
        await anext(aiter(store.pages("fruits", 3)))
