"""`syncd snapshot` on versions that are there: what people see, and what machines get."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from syncd.cli import app
from syncd.domain.errors import Conflict, Rejected
from syncd.runtime.clock import SystemClock
from syncd.snapshots.store import LanceSnapshots
from tests.snapshots.rows import put

CONFIG = """
data_dir = "{home}"
[sources.photos]
type = "folder"
path = "{home}"
[annotators.studio]
type = "label-studio"
url = "http://localhost:1"
token = {{ env = "TOKEN" }}
[datasets.fruits]
annotator = "studio"
sources = ["photos"]
task = "image-classification"
labels = ["apple", "pear"]
[datasets.fruits.snapshots]
keep_last = 2
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration, and four versions of its dataset."""
    monkeypatch.setenv("TOKEN", "t")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("SYNCD_CONFIG", str(tmp_path / "syncd.toml"))
    (tmp_path / "syncd.toml").write_text(CONFIG.format(home=tmp_path))
    store = LanceSnapshots(f"{tmp_path.as_uri()}/snapshots", clock=SystemClock())
    for number in range(1, 5):
        asyncio.run(store.commit("fruits", [put(str(number))], "h"))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["snapshot", *arguments])


def said(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def told(*arguments: str) -> Any:
    return json.loads(said(*arguments, "--json"))


def test_a_tag_is_set_moved_taken_away_and_its_history_shown(home: Path) -> None:
    assert said("tag", "fruits", "v2", "best") == "best → v2\n"
    assert said("tag", "fruits", "latest", "best", "--expect", "v2") == "best → v4\n"
    assert [row["tags"] for row in told("list", "fruits")][1:] == [[], [], ["latest", "best"]]
    assert said("untag", "fruits", "best") == "best is taken away.\n"
    assert said("untag", "fruits", "best") == "best was not set.\n"
    history = told("history", "fruits")
    assert [(move["tag"], move["version"]) for move in history] == [("best", "v2"), ("best", "v4"), ("best", None)]
    assert all("@" in move["by"] for move in history)
    assert told("history", "fruits", "--tag", "other") == []


def test_a_tag_that_is_elsewhere_is_not_moved(home: Path) -> None:
    said("tag", "fruits", "v2", "best")
    refused = run("tag", "fruits", "v3", "best", "--expect", "none")
    assert isinstance(refused.exception, Conflict)
    assert isinstance(run("tag", "fruits", "v3", "best", "--expect", "3").exception, Rejected)
    assert "best" in told("list", "fruits")[1]["tags"]


def test_garbage_collection_shows_first_and_does_it_on_yes(home: Path) -> None:
    said("tag", "fruits", "v1", "best")
    shown = said("gc", "fruits")
    for line in ("tagged best", "no: goes", "among the last 2", "the newest", "Would remove 1 version", "--yes"):
        assert line in shown
    planned = told("gc", "fruits", "--keep-days", "1")
    assert (planned["collected"], planned["dry_run"]) == ([], True)
    assert "Removed 1 version;" in said("gc", "fruits", "--yes")
    assert [row["version"] for row in told("list", "fruits")] == ["v1", "v3", "v4"]
    gone = run("show", "fruits", "v2")
    assert isinstance(gone.exception, Rejected)
    assert "v2 of 'fruits' was removed by garbage collection on" in str(gone.exception)


def test_an_old_version_is_brought_back_as_a_new_one(home: Path) -> None:
    (made,) = told("restore", "fruits", "v2")
    assert (made["version"], made["rows"], made["deleted"]) == ("v5", 2, 2)
    shown = told("show", "fruits", "v5")
    assert shown["restored_from"] == "v2"
    assert "@" in shown["by"]
    assert said("restore", "fruits", "v2") == "The newest version holds what v2 holds.\n"


def test_verify_names_the_damaged_file_and_fails(home: Path) -> None:
    assert said("verify", "fruits") == "Every file of fruits is as it was written.\n"
    name = home / "snapshots" / "fruits" / "versions" / "00000002.json"
    name.write_bytes(name.read_bytes().replace(b'"rows": 2', b'"rows": 3'))
    found = run("verify", "fruits", "v2", "--json")
    assert found.exit_code == 1
    damage = {"file": "fruits/versions/00000002.json", "trouble": "changed"}
    assert damage in json.loads(found.stdout)
    name.unlink()
    missing = {"file": "fruits/versions/00000002.json", "trouble": "missing"}
    assert missing in json.loads(run("verify", "fruits", "--json").stdout)
