"""Ray reads a version on its workers, exactly as it is."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from syncd import open_snapshot
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.training.labelled import Labelled, folder_bucket, picture
from tests.training.loaders.conftest import Made, labelled

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # it sets settings that it has deprecated
    pytest.mark.filterwarnings("ignore:lance is not fork-safe"),  # of its daemons, which load another program at once
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A local cluster of two processors, as small as it can be."""
    monkeypatch = pytest.MonkeyPatch()
    for name in ("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "0")
    small = {"num_cpus": 2, "object_store_memory": 100_000_000, "include_dashboard": False}
    ray.init(**small, log_to_driver=False, configure_logging=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
    monkeypatch.undo()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"status": "all"},
        {"split": "it's", "retired": False},
        {"tasks": "newest"},
        {"split": "it's", "status": "draft"},
    ],
    ids=str,
)
def test_ray_reads_the_rows_of_a_query(made: Made, query: dict[str, Any]) -> None:
    dataset = made.snapshot.to_ray(**query)
    rows = sorted(dataset.take_all(), key=lambda row: row["annotation_id"])
    expected = made.snapshot.to_arrow(**query).to_pylist()
    assert [row["annotation_id"] for row in rows] == made.ids(**query)
    assert [{**row, "labels": list(row["labels"])} for row in rows] == sorted(
        expected, key=lambda row: row["annotation_id"]
    )


def test_it_is_read_in_parts_each_row_once(made: Made, cluster: None) -> None:
    queries: list[dict[str, Any]] = [{"status": "all"}, {"tasks": "all", "status": "all"}]
    for query in queries:
        read = made.snapshot.to_ray(**query, columns=["annotation_id"])
        dataset = read.materialize()
        assert dataset.num_blocks() >= 2
        assert sorted(row["annotation_id"] for row in dataset.take_all()) == made.ids(**query)


def test_a_version_stays_as_it_was_while_others_are_made(tmp_path: Path, cluster: None) -> None:
    root = tmp_path / "snapshots"
    store = LanceSnapshots(root.as_uri(), clock=FakeClock())

    asyncio.run(store.commit("fruits", [labelled(n) for n in range(10)], "h"))
    dataset = open_snapshot(root / "fruits").to_ray(status="all", columns=["annotation_id", "result"])
    before = {row["annotation_id"]: row["result"] for row in open_snapshot(root / "fruits").rows(status="all")}
    asyncio.run(store.commit("fruits", [labelled(n, result="[]") for n in range(5, 15)], "h"))
    assert len(dataset.take_all()) == len(before)
    assert all("choices" in row["result"] for row in dataset.take_all())


async def test_workers_open_a_bucket_by_uri_and_options_and_read_its_media(
    seaweed: Seaweed, tmp_path: Path, cluster: None
) -> None:
    labelled_ = Labelled(tmp_path / "unused", folder_bucket(tmp_path / "photos"))
    url, colours = seaweed.fresh(), ["red", "green", "blue", "white"]
    changes = [await labelled_.change(f"{colour}.png", picture(colour), labels=(colour,)) for colour in colours]
    await LanceSnapshots(url, clock=FakeClock(), storage_options=seaweed.options).commit("fruits", changes, "h")
    snapshot = open_snapshot(f"{url}/fruits@latest", storage_options=seaweed.options)

    def sized(row: dict[str, Any]) -> dict[str, Any]:
        return {"label": row["labels"][0], "bytes": len(snapshot.media(row).read())}

    sizes = {row["label"]: row["bytes"] for row in snapshot.to_ray().map(sized).take_all()}
    assert sizes == {colour: len(picture(colour)) for colour in colours}
