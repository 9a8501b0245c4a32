"""What a training job or a notebook sees: `syncd.open_snapshot`."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import syncd
from syncd import open_snapshot
from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.domain.model import RowStatus, VersionInfo
from syncd.domain.splits import Splits
from syncd.ports import Retention
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import put

DAEMON = ("aiohttp", "sqlalchemy", "watchdog", "structlog", "label_studio_sdk", "typer", "pydantic", "asyncio")
FIRST = [
    put("1", created_at="2026-11-20T18:00:00Z", labels=("cat", "dog"), prediction='[{"score": 0.5}]'),
    put("2", status=RowStatus.SKIPPED, result="[]"),
    put("3", status=RowStatus.DRAFT),
    put("4", status=RowStatus.INVALID, invalid_reason="?"),
    put("5", retired=True),
]


@pytest.fixture
async def root(tmp_path: Path) -> Path:
    store = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    await store.commit("fruits", FIRST, "h")
    await store.commit("fruits", [put("6")], "h")
    await store.commit("fruits", [put("7")], "h")
    await store.commit("birds", [put("1")], "h")
    await store.tag("fruits", "production", 1)
    return tmp_path


@pytest.mark.parametrize(
    ("suffix", "number", "rows"), [("", 3, 4), ("@latest", 3, 4), ("@v3", 3, 4), ("@v2", 2, 3), ("@production", 1, 2)]
)
def test_a_version_opens_by_number_tag_or_as_the_newest(root: Path, suffix: str, number: int, rows: int) -> None:
    snapshot = open_snapshot(f"{root.as_uri()}/fruits{suffix}")
    assert (snapshot.dataset, snapshot.version, snapshot.name, len(snapshot)) == ("fruits", number, f"v{number}", rows)
    assert snapshot.uri == f"{root.as_uri()}/fruits@v{number}"
    assert isinstance(snapshot.info, VersionInfo)


def test_a_plain_path_opens(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    for path in (root / "fruits", root / "fruits@v3", f"{root.name}/fruits@latest", f"{root}/fruits/"):
        assert open_snapshot(path).uri == f"{root.as_uri()}/fruits@v3"


def test_iteration_gives_submitted_rows_with_json_parsed(root: Path) -> None:
    first, fifth = sorted(open_snapshot(root / "fruits@v1"), key=lambda row: row["annotation_id"])
    assert first["result"] == [{"type": "choices"}]
    assert first["data"] == {"image": "s3://photos/1.jpg"}
    assert first["prediction"] == [{"score": 0.5}]
    assert first["labels"] == ["cat", "dog"]
    assert first["created_at"] == datetime(2026, 11, 20, 18, tzinfo=UTC)
    assert (fifth["annotation_id"], fifth["retired"], fifth["prediction"]) == ("5", True, None)


@pytest.mark.parametrize(
    ("status", "ids"), [("submitted", "15"), ("skipped", "2"), ("draft", "3"), ("invalid", "4"), ("all", "12345")]
)
def test_rows_of_a_status_are_the_same_in_every_form(root: Path, status: str, ids: str) -> None:
    snapshot = open_snapshot(root / "fruits@v1")
    assert sorted(row["annotation_id"] for row in snapshot.rows(status=status, batch_size=2)) == list(ids)
    assert sorted(snapshot.to_arrow(status=status)["annotation_id"].to_pylist()) == list(ids)
    assert sorted(snapshot.to_pandas(status=status)["annotation_id"]) == list(ids)


def test_columns_can_be_chosen(root: Path) -> None:
    snapshot = open_snapshot(root / "fruits")
    assert next(snapshot.rows(columns=["labels", "key"])) == {"labels": ["cat", "dog"], "key": None}
    assert snapshot.to_arrow(columns=["key"]).column_names == ["key"]
    assert list(snapshot.to_pandas(columns=["key", "etag"])) == ["key", "etag"]


def test_what_is_no_status_or_column_is_told_at_once(root: Path) -> None:
    snapshot = open_snapshot(root / "fruits")
    with pytest.raises(Rejected, match="no status 'done'; there is: submitted, skipped, draft, invalid, all"):
        snapshot.rows(status="done")
    with pytest.raises(Rejected, match="no column label, colour; there is: annotation_id, task_id"):
        snapshot.to_arrow(columns=["label", "key", "colour"])


def test_a_snapshot_says_what_it_is(root: Path) -> None:
    snapshot = open_snapshot(root / "fruits@v1")
    counts = "1 draft, 1 invalid, 1 skipped, 2 submitted"
    assert repr(snapshot) == f"<Snapshot {root.as_uri()}/fruits@v1: {counts}>"
    assert snapshot.tags == ["production"]
    assert open_snapshot(root / "fruits").tags == ["latest"]
    assert b"Unique" in snapshot.schema.field("annotation_id").metadata[b"description"]
    assert snapshot.lance.count_rows() == 5


async def test_an_open_version_stays_while_others_are_made(root: Path) -> None:
    snapshot = open_snapshot(root / "fruits")
    before = snapshot.to_arrow(status="all")
    await LanceSnapshots(root.as_uri(), clock=FakeClock()).commit("fruits", [put("1", task_id="9"), put("8")], "h")
    assert snapshot.to_arrow(status="all") == before


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("apples", Rejected, "no dataset 'apples' with a version; datasets there: birds, fruits"),
        ("fruits@v9", Rejected, "no version v9: the newest is v3"),
        ("fruits@best", Rejected, "no tag 'best'; there is: latest, production"),
        ("fruits@v0", Rejected, "no tag 'v0'"),
        ("fruits@", ConfigError, "ROOT/DATASET@VERSION"),
        ("@v1", ConfigError, "ROOT/DATASET@VERSION"),
        ("nowhere/fruits", ConfigError, "a folder that exists"),
    ],
)
def test_what_cannot_be_opened_says_what_there_is(root: Path, uri: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_snapshot(f"{root.as_uri()}/{uri}")


async def test_a_version_that_garbage_collection_took_is_told_with_the_oldest_kept(root: Path) -> None:
    store = LanceSnapshots(root.as_uri(), clock=FakeClock())
    await store.collect_garbage("fruits", Retention(versions=1, age=0))
    with pytest.raises(
        Rejected, match=r"v2 of 'fruits' was removed by garbage collection on .*; the oldest kept is v1"
    ):
        open_snapshot(root / "fruits@v2")
    assert open_snapshot(root / "fruits@production").version == 1


def test_a_damaged_version_fails_who_opens_it_and_nobody_else(root: Path) -> None:
    (root / "birds" / "versions" / "00000001.json").write_bytes(b"")
    (root / "fruits" / "versions" / "00000002.json").write_bytes(b"")
    with pytest.raises(Rejected, match=r"fruits/versions/00000002\.json is damaged"):
        open_snapshot(root / "fruits@v2")
    with pytest.raises(Rejected, match="datasets there: birds, fruits"):
        open_snapshot(root / "apples")
    assert open_snapshot(root / "fruits").version == 3
    assert open_snapshot(root / "fruits@production").version == 1


def test_an_unknown_scheme_and_a_silent_server_are_told() -> None:
    with pytest.raises(ConfigError, match="s3://bucket/prefix"):
        open_snapshot("ftp://host/snapshots/fruits")
    options = {"aws_endpoint": "http://127.0.0.1:1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    with pytest.raises(Retryable, match=r"latest\.json"):
        open_snapshot("s3://bucket/snapshots/fruits", storage_options=options | {"allow_http": "true"})


async def test_a_snapshot_opens_from_s3(seaweed: Seaweed) -> None:
    url = seaweed.fresh()
    store = LanceSnapshots(url, clock=FakeClock(), storage_options=seaweed.options)
    await store.commit("fruits", FIRST, "h")
    snapshot = open_snapshot(f"{url}/fruits", storage_options=seaweed.options)
    assert snapshot.uri == f"{url}/fruits@v1"
    assert sorted(row["annotation_id"] for row in snapshot) == ["1", "5"]


def test_a_reader_needs_no_right_to_write(root: Path) -> None:
    (root / "fruits" / "latest.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert len(list(open_snapshot(root / "fruits"))) == 4
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_pandas_is_asked_for_only_where_it_is_needed(root: Path) -> None:
    code = f"""
import sys

class NoPandas:
    def find_spec(self, name, *_):
        if name == "pandas":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoPandas())
import syncd
snapshot = syncd.open_snapshot("{root}/fruits")
print(len(list(snapshot)), snapshot.to_arrow().num_rows)
try:
    snapshot.to_pandas()
except Exception as error:
    print(type(error).__name__, error)
"""
    assert _python(code).splitlines() == [
        "4 4",
        "ConfigError pandas: installed for this: pip install 'syncd[pandas]' (found not installed)",
    ]


def test_importing_and_opening_load_nothing_of_the_daemon(root: Path) -> None:
    code = f"""
import json, sys
before = set(sys.modules)
import syncd
imported = set(sys.modules) - before
list(syncd.open_snapshot("{root}/fruits"))
print(json.dumps([sorted(imported), sorted(sys.modules)]))
"""
    imported, opened = json.loads(_python(code))
    ours = [name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names]
    assert ours == ["syncd"]
    assert [name for name in DAEMON if name in opened] == []


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_snapshots'"):
        syncd.open_snapshots  # noqa: B018


def _python(code: str) -> str:
    here = Path(syncd.__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": str(here)}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout


async def test_a_split_that_is_none_is_told_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    store = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    await store.commit("fruits", [put("1", key="1.jpg")], "h", Splits({"train": 0.9, "test": 0.1}))
    snapshot = open_snapshot(tmp_path / "fruits")
    (taken,) = [name for name in ("train", "test") if list(snapshot.rows(split=name))]
    assert list(snapshot.rows(split={"train": "test", "test": "train"}[taken])) == []
    with pytest.raises(Rejected, match="has no split 'tset'; there is: test, train"):
        snapshot.to_arrow(split="tset")
