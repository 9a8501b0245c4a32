"""PyTorch reads a version: map-style and iterable, shuffled, by several workers and ranks, each row once."""

import asyncio
import multiprocessing
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from syncd import open_snapshot
from syncd.domain.errors import ConfigError, Rejected
from syncd.snapshots.store import LanceSnapshots
from syncd.training.loaders.order import Order
from syncd.training.loaders.torch_datasets import collate
from syncd.training.media import MediaCache, MediaChanged
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.training.labelled import Labelled, folder_bucket, picture, s3_bucket
from tests.training.loaders.conftest import Made, labelled


@pytest.fixture(autouse=True)
def _quick_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a fork server are as clean as spawned ones, and torch is loaded once for all of them.

    A loader whose worker raised waits this long (5 s) for each worker before it ends it, whatever the dataset.
    """
    multiprocessing.set_forkserver_preload([__name__])
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)


def ids(loader: Any) -> list[str]:
    return [id_ for batch in loader for id_ in batch["annotation_id"]]


def loader(dataset: Any, **options: Any) -> DataLoader[Any]:
    return DataLoader(dataset, batch_size=4, collate_fn=dataset.collate, **options)


# ---------------------------------------------------------------- map-style


@pytest.mark.parametrize("query", [{}, {"status": "all"}, {"split": "it's"}, {"tasks": "newest"}], ids=str)
def test_a_map_style_dataset_holds_the_rows_of_a_query(made: Made, query: dict[str, Any]) -> None:
    dataset = made.snapshot.to_torch(**query)
    assert isinstance(dataset, Dataset)
    assert len(dataset) == len(made.ids(**query))
    rows = {row["annotation_id"]: row for row in made.snapshot.rows(**query)}
    assert {row["annotation_id"]: row for row in map(dataset.__getitem__, range(len(dataset)))} == rows


def test_places_are_those_of_a_list(made: Made) -> None:
    dataset = made.snapshot.to_torch(columns=["annotation_id"])
    rows = list(dataset)
    assert dataset[-1] == rows[-1]
    assert dataset.__getitems__([3, 0, 3, -1]) == [rows[3], rows[0], rows[3], rows[-1]]
    with pytest.raises(IndexError, match="there are 36 rows, and no row 36"):
        dataset[36]


def test_a_loader_shuffles_and_batches_it(made: Made) -> None:
    dataset = made.snapshot.to_torch(columns=["annotation_id", "lead_time", "labels", "retired", "result"])
    batches = list(loader(dataset, shuffle=True, generator=torch.Generator().manual_seed(1)))
    assert [len(batch["annotation_id"]) for batch in batches] == [4] * 9
    assert ids(batches) != ids(loader(dataset))
    assert sorted(ids(batches)) == made.ids()
    assert all(batch["retired"].dtype == torch.bool for batch in batches)
    assert isinstance(batches[0]["labels"], list)


def test_a_transform_makes_the_sample(made: Made) -> None:
    def pair(row: dict[str, Any]) -> tuple[torch.Tensor, int]:
        return torch.full((2,), len(row["result"])), len(row["labels"])

    images, labels = next(iter(loader(made.snapshot.to_torch(split="train", retired=False, transform=pair))))
    assert images.tolist() == [[1, 1]] * 4
    assert labels.dtype == torch.int64


def test_what_cannot_be_a_tensor_stays_a_list() -> None:
    samples = [
        {"n": 1, "x": 1.5, "t": torch.zeros(2), "a": np.ones(3), "s": "a", "l": [1], "o": None, "b": True},
        {"n": 2, "x": 2.5, "t": torch.ones(2), "a": np.ones(2), "s": "b", "l": [], "o": 3, "b": False},
    ]
    batch = collate(samples)
    assert batch["n"].tolist() == [1, 2]
    assert batch["x"].tolist() == [1.5, 2.5]
    assert batch["t"].tolist() == [[0, 0], [1, 1]]
    assert [len(array) for array in batch["a"]] == [3, 2]
    assert (batch["s"], batch["l"], batch["o"]) == (["a", "b"], [[1], []], [None, 3])
    assert batch["b"].tolist() == [True, False]
    assert collate([1, 2]).tolist() == [1, 2]
    assert collate(["a", "b"]) == ["a", "b"]


# ---------------------------------------------------------------- iterable


def test_a_stream_gives_every_row_once_in_order_or_shuffled_by_seed_and_epoch(made: Made) -> None:
    def order(**options: Any) -> list[str]:
        return ids(loader(made.snapshot.to_torch(iterable=True, columns=["annotation_id"], **options)))

    plain, shuffled = order(), order(shuffle=True)
    assert isinstance(made.snapshot.to_torch(iterable=True), IterableDataset)
    assert sorted(plain) == sorted(shuffled) == made.ids()
    assert plain == order()
    assert shuffled == order(shuffle=True) != plain
    assert order(shuffle=True, seed=1) not in (plain, shuffled)
    stream = made.snapshot.to_torch(iterable=True, shuffle=True, columns=["annotation_id"])
    stream.set_epoch(1)
    second = ids(loader(stream))
    assert sorted(second) == made.ids()
    assert second != shuffled
    stream.set_epoch(0)
    assert ids(loader(stream)) == shuffled


def test_the_order_of_a_seed_is_the_same_after_the_table_was_compacted(tmp_path: Path) -> None:
    store = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    for start in range(0, 40, 5):
        asyncio.run(store.commit("fruits", [labelled(n) for n in range(start, start + 5)], "h"))
    options: Any = {"iterable": True, "shuffle": True, "status": "all", "columns": ["annotation_id"]}
    before = ids(loader(open_snapshot(tmp_path / "fruits").to_torch(**options)))
    table = open_snapshot(tmp_path / "fruits").lance
    table.optimize.compact_files()
    asyncio.run(store.commit("fruits", [labelled(0, annotator="me")], "h"))
    assert ids(loader(open_snapshot(tmp_path / "fruits").to_torch(**options))) == before


@pytest.mark.parametrize("count", [0, 1, 7, 8, 100])
@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_get_equally_many_rows(count: int, world: int, drop_last: bool) -> None:
    def share(rank: int) -> list[int]:
        found: list[int] = Order(True, 3, rank, world, drop_last).share(count, 5, (0, 1)).tolist()
        return found

    shares = [share(rank) for rank in range(world)]
    assert len({len(part) for part in shares}) == 1
    times = Counter(place for part in shares for place in part)
    if drop_last:
        assert set(times.values()) <= {1}
        assert len(times) == count - count % world
    else:
        assert set(times) == set(range(count))
        assert sum(times.values()) - count == -count % world


def test_ranks_of_a_process_group_share_the_rows(made: Made, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    results: Any = context.Queue()
    jobs = [
        context.Process(target=_rank, args=(rank, made.snapshot.uri, tmp_path / "group", results)) for rank in range(2)
    ]
    for job in jobs:
        job.start()
    found = [results.get(timeout=120) for _ in jobs]
    for job in jobs:
        job.join(30)
    assert sorted(found[0] + found[1]) == made.ids()
    assert len(found[0]) == len(found[1])


def _rank(rank: int, uri: str, group: Path, results: Any) -> None:
    """One process of a group of two. What it hands to a worker knows its rank, where there is no group to ask."""
    stream = open_snapshot(uri).to_torch(iterable=True, shuffle=True, columns=["annotation_id"])
    torch.distributed.init_process_group("gloo", init_method=group.as_uri(), rank=rank, world_size=2)
    own, handed = ids(loader(stream)), pickle.dumps(stream)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    results.put(own if ids(loader(pickle.loads(handed))) == own else [])  # noqa: S301


def test_options_that_do_not_go_together_are_told(made: Made) -> None:
    to_torch: Any = made.snapshot.to_torch
    with pytest.raises(Rejected, match="shuffle, seed: pass iterable=True; the order of a map-style dataset"):
        to_torch(shuffle=True, seed=1)
    for rank, world in ((2, 2), (-1, 2), (None, 2), (0, None)):
        with pytest.raises(ConfigError, match="rank from 0 to world_size - 1"):
            to_torch(iterable=True, rank=rank, world_size=world)
    with pytest.raises(TypeError, match="unexpected keyword argument shufle"):
        to_torch(iterable=True, shufle=True)


# ---------------------------------------------------------------- workers


def test_two_workers_give_every_row_once_and_follow_the_epoch(made: Made) -> None:
    mapped = made.snapshot.to_torch(columns=["annotation_id"], tasks="all")
    stream = made.snapshot.to_torch(iterable=True, shuffle=True, columns=["annotation_id"])
    workers: Any = {"num_workers": 2, "multiprocessing_context": "forkserver", "persistent_workers": True}
    assert sorted(ids(loader(mapped, shuffle=True, **workers))) == made.ids()
    streaming = loader(stream, **workers)
    first, again = ids(streaming), ids(streaming)
    stream.set_epoch(1)
    second = ids(streaming)
    assert sorted(first) == sorted(second) == made.ids()
    assert first == again != second


async def test_workers_read_rows_from_a_bucket(seaweed: Seaweed) -> None:
    url = seaweed.fresh()
    store = LanceSnapshots(url, clock=FakeClock(), storage_options=seaweed.options)
    await store.commit("fruits", [labelled(n) for n in range(30)], "h")
    dataset = open_snapshot(f"{url}/fruits", storage_options=seaweed.options).to_torch(status="all")
    first = dataset[0]["annotation_id"]
    found = ids(loader(dataset, num_workers=2, multiprocessing_context="forkserver"))
    assert found[0] == first
    assert sorted(found) == sorted(f"a{n}" for n in range(30))


@pytest.mark.filterwarnings("ignore:lance is not fork-safe")  # which is what is tested
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.parametrize("iterable", [False, True])
def test_a_forked_worker_says_that_it_must_not_be_forked(made: Made, iterable: bool) -> None:
    dataset = made.snapshot.to_torch(iterable=iterable)
    with pytest.raises(Rejected, match=r"cannot be used in a forked process; start workers with .*'spawn'"):
        list(loader(dataset, num_workers=1, multiprocessing_context="fork"))


def test_a_process_forked_before_anything_was_opened_reads(made: Made) -> None:
    code = f"""
import os, syncd
from syncd.training import reader
if os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
assert len(syncd.open_snapshot("{made.snapshot.uri}").to_arrow()) == 36
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False, timeout=60).returncode == 0


# ---------------------------------------------------------------- media


def measured(row: dict[str, Any]) -> tuple[str, int]:
    return row["key"], len(row["media"].read()) if row["media"] else -1


async def test_media_are_opened_by_the_transform_in_the_worker(tmp_path: Path) -> None:
    made = Labelled(tmp_path / "snapshots", folder_bucket(tmp_path / "photos"))
    colours = ["red", "green", "blue"]
    await made.label({f"{colour}.png": picture(colour) for colour in colours})
    await made.commit(await made.change("none.png", picture("red"), bucket=None, key=None))
    dataset = made.open().to_torch(media=True, transform=measured, columns=["key"])
    ((keys, sizes),) = loader(dataset, num_workers=1, multiprocessing_context="spawn")
    expected = [(None, -1), *((f"{colour}.png", len(picture(colour))) for colour in colours)]
    assert Counter(zip(keys, sizes.tolist(), strict=True)) == Counter(expected)
    row = made.open().to_torch(media=True, columns=["labels"])[0]
    assert set(row) == {"labels", "media"}


@pytest.mark.parametrize("where", ["folder", "s3"])
async def test_media_overwritten_after_labelling_are_refused_in_the_worker(
    tmp_path: Path, seaweed: Seaweed, where: str
) -> None:
    bucket = folder_bucket(tmp_path / "photos") if where == "folder" else s3_bucket(seaweed)
    made = Labelled(tmp_path / "snapshots", bucket, seaweed.options, MediaCache(tmp_path / "cache"))
    kept, lost = f"{made.prefix}/kept.png", f"{made.prefix}/lost.png"
    await made.label({kept: picture("red"), lost: picture("blue")})
    bucket.put(lost, picture("green"))
    for iterable in (False, True):
        dataset = made.open().to_torch(iterable=iterable, media=True, transform=measured)
        workers: Any = {"num_workers": 1, "multiprocessing_context": "forkserver"}
        with pytest.raises(MediaChanged, match=re.escape(f"{bucket.url}/{lost} has changed since it was labelled")):
            list(loader(dataset, **workers))


def test_a_dataset_can_be_pickled(made: Made) -> None:
    to_torch: Any = made.snapshot.to_torch
    for options in ({}, {"iterable": True, "shuffle": True}):
        dataset = to_torch(columns=["annotation_id"], **options)
        again = pickle.loads(pickle.dumps(dataset))  # noqa: S301
        assert ids(loader(again)) == ids(loader(dataset))
