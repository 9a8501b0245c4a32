"""One row per task: the policies, the columns that come with them, and the one way to the rows by id."""

import json
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd import Snapshot, open_snapshot
from syncd.domain.errors import Rejected
from syncd.domain.model import RowStatus, StagedChange
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import gone, put


def said(*labels: str) -> dict[str, Any]:
    """The fields of a row whose answer chooses these labels."""
    entry = {"id": "r", "type": "choices", "from_name": "kind", "to_name": "image", "value": {"choices": labels}}
    return {"labels": tuple(sorted(labels)), "result": json.dumps([entry])}


def at(day: int) -> dict[str, Any]:
    return {"created_at": "2026-11-01T00:00:00Z", "updated_at": f"2026-11-{day:02}T00:00:00Z"}


ROWS = [
    put("1", task_id="A", annotator="ann", split="train", **said("cat"), **at(1)),
    put("2", task_id="A", annotator="bob", split="train", **said("cat"), **at(2)),
    put("3", task_id="A", annotator="cem", split="train", **said("dog"), **at(3)),
    put("9", task_id="B", annotator="ann", split="val", ground_truth=True, **said("owl"), **at(4)),
    put("10", task_id="B", annotator="bob", split="val", **said("dog"), **at(4)),
    put("5", task_id="C", split="train", retired=True, **said("cat"), **at(5)),
    put("6", task_id="D", annotator="ann", status=RowStatus.SKIPPED, result="[]", **at(6)),
    put("7", task_id="C", annotator="ann", status=RowStatus.DRAFT, **said("dog"), **at(7)),
]


async def made(folder: Path, *commits: list[StagedChange]) -> Snapshot:
    store = LanceSnapshots(folder.as_uri(), clock=FakeClock())
    for changes in commits:
        await store.commit("fruits", changes, "<View/>")
    return open_snapshot(folder / "fruits")


@pytest.fixture
async def snapshot(tmp_path: Path) -> Snapshot:
    return await made(tmp_path, ROWS)


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def ids(table: Any) -> list[str]:
    return sorted(table["annotation_id"].to_pylist())


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ("newest", ["10", "3", "5"]),
        ("ground-truth", ["3", "5", "9"]),
        ("majority", ["10", "2", "5"]),
        ("all", ["1", "10", "2", "3", "5", "9"]),
        (None, ["1", "10", "2", "3", "5", "9"]),
    ],
)
def test_each_policy_picks_its_answers(snapshot: Snapshot, tasks: str | None, expected: list[str]) -> None:
    assert ids(snapshot.to_arrow(tasks=tasks)) == expected


def test_the_columns_say_how_many_answered_and_who(snapshot: Snapshot) -> None:
    columns = ["task_id", "annotations", "annotators"]
    rows = sorted(snapshot.to_arrow(tasks="newest", columns=columns).to_pylist(), key=lambda row: row["task_id"])
    assert rows == [
        {"task_id": "A", "annotations": 3, "annotators": ["ann", "bob", "cem"]},
        {"task_id": "B", "annotations": 2, "annotators": ["ann", "bob"]},
        {"task_id": "C", "annotations": 1, "annotators": []},
    ]


def test_agreement_comes_when_it_is_asked_for(snapshot: Snapshot) -> None:
    whole = snapshot.to_arrow(tasks="newest", agreement=True)
    assert dict(zip(whole["task_id"].to_pylist(), whole["agreement"].to_pylist(), strict=True)) == {
        "A": pytest.approx(1 / 3),
        "B": 0.0,
        "C": None,
    }
    named = snapshot.to_arrow(tasks="all", columns=["agreement", "task_id"])
    assert named.column_names == ["agreement", "task_id"]
    assert sorted(named["agreement"].drop_null().to_pylist()) == [0.0, 0.0, *[pytest.approx(1 / 3)] * 3]
    assert "agreement" not in snapshot.to_arrow(tasks="newest").column_names


def test_views_go_with_status_split_and_retired(snapshot: Snapshot) -> None:
    assert ids(snapshot.to_arrow(tasks="newest", split="train")) == ["3", "5"]
    assert ids(snapshot.to_arrow(tasks="newest", retired=False)) == ["10", "3"]
    assert ids(snapshot.to_arrow(tasks="newest", retired=True)) == ["5"]
    assert ids(snapshot.to_arrow(tasks="newest", status="skipped")) == ["6"]
    assert ids(snapshot.to_arrow(tasks="newest", status="all")) == ["10", "3", "6", "7"]
    assert ids(snapshot.to_arrow(tasks="newest", split="val", retired=True)) == []


WAYS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "rows": lambda snapshot, **query: list(snapshot.rows(**query)),
    "small batches": lambda snapshot, **query: [
        row for batch in snapshot.batches(batch_size=2, **query) for row in snapshot.parsed(batch)
    ],
    "to_arrow": lambda snapshot, **query: list(snapshot.parsed(snapshot.to_arrow(**query))),
    "to_pandas": lambda snapshot, **query: snapshot.to_pandas(**query).to_dict("records"),
    "take": lambda snapshot, **query: list(snapshot.parsed(snapshot.take(snapshot.row_ids(**query), **query))),
}


@pytest.mark.parametrize("tasks", ["newest", "majority", "all"])
@pytest.mark.parametrize("way", WAYS)
def test_a_view_is_the_same_in_every_form(snapshot: Snapshot, way: str, tasks: str) -> None:
    columns = ["annotations", "annotation_id", "labels"]
    rows = WAYS[way](snapshot, tasks=tasks, columns=columns)
    expected = snapshot.to_arrow(tasks=tasks, columns=columns).to_pylist()
    assert [list(row) for row in rows] == [columns] * len(expected)
    assert sorted((row["annotation_id"], row["annotations"], *row["labels"]) for row in rows) == sorted(
        (row["annotation_id"], row["annotations"], *row["labels"]) for row in expected
    )


def test_the_schema_is_known_where_there_are_no_rows(snapshot: Snapshot) -> None:
    empty = snapshot.to_arrow(tasks="newest", split="val", retired=True, columns=["annotators", "key"])
    full = snapshot.to_arrow(tasks="newest", columns=["annotators", "key"])
    assert empty.schema == full.schema
    assert len(snapshot.row_ids(tasks="newest", split="val", retired=True)) == 0
    assert snapshot.take([], columns=["key"]).column_names == ["key"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"tasks": "best"}, "no policy tasks='best'; there is: newest, majority, ground-truth, all"),
        ({"agreement": True}, "pass a policy too"),
        ({"columns": ["agreement"]}, r"no column agreement; .*come with tasks="),
        ({"tasks": "majority", "status": "draft"}, "compare answers that were submitted"),
        ({"tasks": "newest", "agreement": True, "status": "all"}, "compare answers that were submitted"),
    ],
)
def test_what_makes_no_view_is_told(snapshot: Snapshot, query: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejected, match=message):
        snapshot.to_arrow(**query)


@pytest.mark.parametrize("ways", [1, 2])
async def test_times_decide_then_ids_as_numbers_do(tmp_path: Path, ways: int) -> None:
    rows = [
        put("100", task_id="times", **at(1)),
        put("20", task_id="times", created_at="2026-11-02T00:00:00Z"),
        put("9", task_id="none known"),
        put("10", task_id="none known"),
        put("8", task_id="one known"),
        put("7", task_id="one known", **at(1)),
    ]
    snapshot = await made(tmp_path, *([rows] if ways == 1 else [[change] for change in reversed(rows)]))
    assert ids(snapshot.to_arrow(tasks="newest")) == ["10", "20", "7"]


async def test_row_ids_stay_over_upserts_and_compaction_and_rows_come_in_any_order(tmp_path: Path) -> None:
    rows = [put(str(n), key=f"{n}.jpg") for n in range(300)]
    more = [[put(str(n), key=f"{n}.jpg", labels=("dog",)) for n in range(start, start + 20)] for start in (5, 50, 180)]
    snapshot = await made(tmp_path, rows, *more, [gone("7")])
    before = snapshot.row_ids()
    snapshot.lance.optimize.compact_files()
    compacted = Snapshot.__reduce__(snapshot)[0](*Snapshot.__reduce__(snapshot)[1])
    compacted.lance = compacted.lance.checkout_version(compacted.lance.latest_version)
    assert compacted.row_ids() == before
    shuffled = random.Random(1).sample(before.to_pylist(), 200)
    taken = [table.take(shuffled, columns=["key", "labels"]) for table in (snapshot, compacted)]
    assert taken[0] == taken[1]
    keys = dict(zip(before.to_pylist(), snapshot.take(before, columns=["key"])["key"].to_pylist(), strict=True))
    assert taken[0]["key"].to_pylist() == [keys[id_] for id_ in shuffled]
    assert sorted(keys.values()) == sorted(f"{n}.jpg" for n in range(300) if n != 7)


def test_rows_are_taken_as_often_as_asked_and_one_that_is_not_there_is_told(snapshot: Snapshot) -> None:
    first, second = snapshot.row_ids().to_pylist()[:2]
    again = snapshot.take([second, first, second], columns=["annotation_id"])["annotation_id"].to_pylist()
    assert again[0] == again[2] != again[1]
    with pytest.raises(Rejected, match="has no row 4711"):
        snapshot.take([first, 4711])
    losers = set(snapshot.row_ids().to_pylist()) - set(snapshot.row_ids(tasks="newest").to_pylist())
    with pytest.raises(Rejected, match="among those asked for"):
        snapshot.take(list(losers), tasks="newest")


async def test_a_snapshot_crosses_processes_as_its_pinned_uri(tmp_path: Path) -> None:
    snapshot = await made(tmp_path, ROWS)
    sent = pickle.dumps(snapshot)
    await LanceSnapshots(tmp_path.as_uri(), clock=FakeClock()).commit("fruits", [put("50")], "<View/>")
    code = f"""
import pickle
snapshot = pickle.loads({sent!r})
print(snapshot.name, snapshot.row_ids(tasks="newest").to_pylist())
"""
    assert python(code) == f"v1 {snapshot.row_ids(tasks='newest').to_pylist()}"


async def test_a_snapshot_on_s3_crosses_with_its_options_and_reads_views(seaweed: Seaweed) -> None:
    url = seaweed.fresh()
    await LanceSnapshots(url, clock=FakeClock(), storage_options=seaweed.options).commit("fruits", ROWS, "<View/>")
    snapshot = pickle.loads(pickle.dumps(open_snapshot(f"{url}/fruits", storage_options=seaweed.options)))  # noqa: S301
    assert ids(snapshot.to_arrow(tasks="majority")) == ["10", "2", "5"]
    assert ids(snapshot.take(snapshot.row_ids(tasks="newest"))) == ["10", "3", "5"]
