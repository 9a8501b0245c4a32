"""Where rows come from, which versions hold an object, what changed since a model's version; and `syncd lineage`."""

import json
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from syncd import Snapshot, open_snapshot
from syncd.cli import app
from syncd.domain.errors import ConfigError, Rejected
from syncd.domain.model import RowStatus, StagedChange
from syncd.ports import Retention
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import Table
from syncd.training.history import Holding
from syncd.training.lineage import lineage_lines
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put


def of(key: str | None, **fields: Any) -> dict[str, Any]:
    """The fields of a row about an object."""
    place = {"bucket": "s3://photos", "key": key, "object_uri": f"s3://photos/{key}", "etag": '"e1"'} if key else {}
    return place | fields


FULL = of("a.jpg", version_id="x1", split="train", annotator="ann", lead_time=2.5, created_at="2026-11-20T18:00:00Z")
COMMITS: list[list[StagedChange]] = [
    [put("1", **FULL, prediction_id="9", model_version="yolo-1"), put("2", **of("b.jpg")), put("3", **of("a.jpg"))],
    [put("4", **of("c.jpg"))],
    [put("1", **of("a.jpg", labels=("dog",)))],
    [gone("3"), gone("2")],
    [put("5", **of("b.jpg", status=RowStatus.SKIPPED))],
    [put("3", **of("a.jpg"))],
]


@pytest.fixture
async def store(tmp_path: Path) -> LanceSnapshots:
    store = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    for changes in COMMITS:
        await store.commit("fruits", changes, "<View/>")
    await store.tag("fruits", "production", 2)
    await store.tag("fruits", "candidate", 4)
    return store


@pytest.fixture
def folder(store: LanceSnapshots, tmp_path: Path) -> Path:
    return tmp_path / "fruits"


def opened(folder: Path, version: str) -> Snapshot:
    return open_snapshot(f"{folder}@{version}")


def shown(holdings: list[Holding]) -> list[tuple[str, tuple[str, ...], int, int, tuple[str, ...]]]:
    return [(one.annotation_id, one.labels, one.first, one.last, one.tags) for one in holdings]


# ---------------------------------------------------------------- rows


def test_every_row_says_object_task_prediction_annotation_and_snapshot(folder: Path) -> None:
    snapshot = opened(folder, "v1")
    first = next(snapshot.lineage())
    assert {part: first[part] for part in ("object", "task", "prediction")} == {
        "object": {
            "uri": "s3://photos/a.jpg",
            "bucket": "s3://photos",
            "key": "a.jpg",
            "etag": '"e1"',
            "version_id": "x1",
        },
        "task": {"id": "1", "retired": False},
        "prediction": {"id": "9", "model_version": "yolo-1"},
    }
    answer = first["annotation"]
    assert (answer["id"], answer["annotator"], answer["status"], answer["labels"]) == ("1", "ann", "submitted", ["cat"])
    assert (answer["lead_time"], answer["created_at"].isoformat()) == (2.5, "2026-11-20T18:00:00+00:00")
    assert first["snapshot"] == {
        "uri": f"{folder.as_uri()}@v1",
        "dataset": "fruits",
        "version": "v1",
        "table_version": snapshot.info.table_version,
        "label_config_hash": snapshot.info.label_config_hash,
        "split": "train",
    }


def test_rows_come_by_key_and_annotation_and_heed_the_query(folder: Path) -> None:
    ids = [one["annotation"]["id"] for one in opened(folder, "v1").lineage()]
    assert ids == ["1", "3", "2"]
    skipped = list(opened(folder, "v5").lineage(status="skipped"))
    assert [(one["annotation"]["id"], one["prediction"]) for one in skipped] == [("5", None)]
    with pytest.raises(Rejected, match="no status"):
        opened(folder, "v1").lineage(status="done")


def test_lines_are_json_and_the_same_bytes_each_time(folder: Path) -> None:
    lines = [b"".join(lineage_lines(opened(folder, "v3"), tasks="newest")) for _ in range(2)]
    assert lines[0] == lines[1]
    (only,) = map(orjson.loads, lines[0].splitlines())
    assert only["annotation"]["created_at"] is None
    assert b'"created_at":"2026-11-20T18:00:00Z"' in b"".join(lineage_lines(opened(folder, "v1")))


def test_one_row_is_found_whatever_its_status_or_told_missing(folder: Path) -> None:
    assert opened(folder, "v5").lineage_of("5")["annotation"]["status"] == "skipped"
    with pytest.raises(Rejected, match=r"fruits@v4 has no annotation '3'; --object KEY"):
        opened(folder, "v4").lineage_of("3")


# ---------------------------------------------------------------- objects over versions


def test_versions_that_hold_an_object_are_told_with_what_they_hold(folder: Path) -> None:
    assert shown(opened(folder, "v1").holdings("a.jpg")) == [
        ("1", ("cat",), 1, 2, ("production",)),
        ("1", ("dog",), 3, 6, ("candidate", "latest")),
        ("3", ("cat",), 1, 3, ("production",)),
        ("3", ("cat",), 6, 6, ("latest",)),
    ]
    assert shown(opened(folder, "v1").holdings("b.jpg")) == [
        ("2", ("cat",), 1, 3, ("production",)),
        ("5", ("cat",), 5, 6, ("latest",)),
    ]
    assert opened(folder, "v1").holdings("nothing.jpg") == []
    assert opened(folder, "v1").holdings("a.jpg", bucket="s3://others") == []


async def test_versions_gone_by_garbage_collection_are_no_holders(store: LanceSnapshots, folder: Path) -> None:
    await store.collect_garbage("fruits", Retention(versions=1, age=0))
    assert [info.number for info in await store.versions("fruits")] == [2, 4, 6]
    assert shown(opened(folder, "latest").holdings("a.jpg")) == [
        ("1", ("cat",), 2, 2, ("production",)),
        ("1", ("dog",), 4, 6, ("candidate", "latest")),
        ("3", ("cat",), 2, 2, ("production",)),
        ("3", ("cat",), 6, 6, ("latest",)),
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_histories_are_those_that_reading_every_version_tells(tmp_path: Path, seed: int) -> None:
    rng, store = random.Random(seed), LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    for _ in range(12):
        ids = rng.sample(range(8), 3)
        changes = [
            gone(str(n)) if rng.random() < 0.4 else put(str(n), **of(f"{n % 3}.jpg", labels=(rng.choice("ab"),)))
            for n in ids
        ]
        await store.commit("fruits", changes, "<View/>")
        if rng.random() < 0.2:
            await store.maintain("fruits")
        if rng.random() < 0.2 and (versions := await store.versions("fruits")):
            await store.restore("fruits", rng.choice(versions).number)
    expected: dict[tuple[str, int], tuple[str, ...]] = {}
    for info in await store.versions("fruits"):
        rows = [row for row in await store.rows("fruits", info.number) if row.key == "1.jpg"]
        expected |= {(row.annotation_id, info.number): row.labels for row in rows}
    found = open_snapshot(tmp_path / "fruits").holdings("1.jpg")
    told = {(one.annotation_id, number): one.labels for one in found for number in range(one.first, one.last + 1)}
    assert told == expected
    assert len(told) == sum(one.last - one.first + 1 for one in found)


async def test_the_table_is_searched_once_however_many_versions_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    await store.commit(
        "fruits", [put("x", **of("x.jpg")), *(put(str(n), **of(f"{n}.jpg")) for n in range(50))], "<View/>"
    )
    for n in range(12):
        await store.commit("fruits", [put(str(n), **of(f"{n}.jpg", labels=("dog",)))], "<View/>")
    await store.commit("fruits", [put("x", **of("x.jpg", labels=("dog",)))], "<View/>")
    visited: list[int] = []
    at = Table.at

    def watched(table: Table, version: int) -> Table:
        visited.append(version)
        return at(table, version)

    monkeypatch.setattr(Table, "at", watched)
    found = open_snapshot(tmp_path / "fruits").holdings("x.jpg")
    assert [(one.first, one.last) for one in found] == [(1, 13), (14, 14)]
    assert len(visited) == 1


# ---------------------------------------------------------------- since a version


def test_changes_since_a_version_tell_rows_objects_and_labels(folder: Path) -> None:
    found = opened(folder, "v4").changes_since("v1")
    assert (found.before.name, found.after.name) == ("v1", "v4")
    assert (found.diff.inserted, [one.annotation_id for one in found.diff.updated]) == (("4",), ["1"])
    assert found.objects == {"inserted": ("c.jpg",), "updated": ("a.jpg",), "deleted": ("a.jpg", "b.jpg")}
    assert (found.diff.before.labels, found.diff.after.labels) == ({"cat": 3}, {"cat": 1, "dog": 1})
    assert not opened(folder, "v2").changes_since("production").diff
    with pytest.raises(Rejected, match="no version v9"):
        opened(folder, "v4").changes_since("v9")


# ---------------------------------------------------------------- the command


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["lineage", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_tells_which_versions_hold_an_object(folder: Path) -> None:
    lines = [line.split() for line in run(str(folder), "--object", "b.jpg").splitlines()]
    assert ["v1", "to", "v3", "production", "2", "submitted", "cat", "-", '"e1"'] in lines
    assert ["v5", "to", "v6", "latest", "5", "skipped", "cat", "-", '"e1"'] in lines
    found = json.loads(run(f"{folder}@v2", "--object", "b.jpg", "--json"))
    assert [(one["annotation_id"], one["first"], one["last"]) for one in found] == [("2", 1, 3), ("5", 5, 6)]
    assert "No version of fruits that is left holds zebra.jpg." in run(str(folder), "--object", "zebra.jpg")
    assert json.loads(run(str(folder), "--object", "zebra.jpg", "--json")) == []


def test_the_command_tells_what_changed_since_a_tag(folder: Path) -> None:
    text = run(str(folder), "--since", "production")
    assert "fruits: v2 to v6" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["inserted", "1", "1", "b.jpg"] in rows
    assert ["deleted", "1", "1", "b.jpg"] in rows
    assert ["dog", "0", "1", "+1"] in rows
    found = json.loads(run(f"{folder}@v4", "--since", "v1", "--json"))
    assert (found["before"]["number"], found["diff"]["inserted"], found["objects"]["inserted"]) == (1, ["4"], ["c.jpg"])
    assert "nothing changed" in run(f"{folder}@production", "--since", "v2")


def test_the_command_tells_where_a_row_comes_from(folder: Path) -> None:
    lines = [" ".join(line.split()) for line in run(f"{folder}@v1", "--row", "1").splitlines()]
    assert "object key a.jpg" in lines
    assert "prediction model version yolo-1" in lines
    assert json.loads(run(str(folder), "--row", "5", "--json"))["annotation"]["status"] == "skipped"


async def test_the_command_takes_a_configured_name(store: LanceSnapshots, tmp_path: Path) -> None:
    config = tmp_path / "syncd.toml"
    (tmp_path / "token").write_text("t")
    config.write_text(f"""
[state]
url = "sqlite:///{tmp_path}/state.db"
[sources.photos]
type = "folder"
path = "{tmp_path}"
[annotators.studio]
type = "label-studio"
url = "http://127.0.0.1:1"
token = {{ file = "{tmp_path}/token" }}
[datasets.fruits]
annotator = "studio"
sources = ["photos"]
task = "image-classification"
labels = ["cat", "dog"]
snapshots.url = "{tmp_path.as_uri()}"
""")
    found = json.loads(run("fruits@v4", "--object", "c.jpg", "--json", "--config", str(config)))
    assert [(one["annotation_id"], one["first"], one["last"]) for one in found] == [("4", 2, 6)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["fruits"], ConfigError, "one of --object, --since, --run, --row"),
        (["fruits", "--row", "1", "--since", "v1"], ConfigError, "found --since and --row"),
        (["--object", "a.jpg"], ConfigError, "VERSION: a dataset's name, or a URI"),
        (["{folder}@v7", "--row", "1"], Rejected, "no version v7: the newest is v6"),
        (["{folder}", "--since", "best"], Rejected, "no tag 'best'"),
    ],
)
def test_what_cannot_be_told_is_one_line(
    folder: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    given = [argument.format(folder=folder) for argument in arguments]
    with pytest.raises(error, match=message):
        CliRunner().invoke(app, ["lineage", *given], catch_exceptions=False)
