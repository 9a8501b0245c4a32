"""`syncd snapshot diff` as people and programs see it: tables, JSON, and a report in a file."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.domain.splits import Splits
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put

CONFIG = """
data_dir = "{folder}/data"
[sources.photos]
type = "folder"
path = "{folder}/photos"
[annotators.studio]
type = "label-studio"
url = "http://127.0.0.1:1"
token = {{ env = "TOKEN" }}
[datasets.fruits]
annotator = "studio"
sources = ["photos"]
task = "image-classification"
labels = ["apple", "pear"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with two versions of `fruits`; the first one is tagged production."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "syncd.toml").write_text(CONFIG.format(folder=tmp_path))
    asyncio.run(_two_versions(LanceSnapshots(f"{tmp_path.as_uri()}/data/snapshots", clock=FakeClock())))
    return tmp_path


async def _two_versions(store: LanceSnapshots) -> None:
    first = [put(str(n), key=f"photos/{n}.jpg", labels=("apple",)) for n in range(30)]
    second = [put(str(n), key=f"photos/{n}.jpg", labels=("pear",), lead_time=3.0) for n in range(22)]
    await store.commit("fruits", first, "<View/>", Splits())
    await store.commit("fruits", [*second, gone("29"), put("99", key="[red]x.jpg", labels=())], "<View/>", Splits())
    await store.tag("fruits", "production", 1)


def diff(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "syncd",
        "snapshot",
        "diff",
        "fruits",
        *arguments,
        "-c",
        str(folder / "syncd.toml"),
    ]
    environ = {"TOKEN": "0" * 40, "COLUMNS": "120", "PATH": "/usr/bin", "HOME": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, check=False)


def test_people_see_counts_changed_rows_labels_and_splits(folder: Path) -> None:
    done = diff(folder, "production")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "inserted 1 99",
        "deleted 1 29",
        "updated 22 0, 1, 10, 11, 12, 13, 14, 15 …",
        "0 photos/0.jpg labels, lead_time +pear, -apple",
        "2 more updated rows: --json lists them all.",
        "label v1 v2 change",
        "apple 30 7 -23",
        "pear 0 22 +22",
        "split v1 v2 change",
    ):
        assert line.split() in lines, done.stdout


def test_programs_get_all_of_it_and_the_report_beside(folder: Path) -> None:
    done = diff(folder, "v1", "v2", "--json", "--html", str(folder / "report.html"))
    found = json.loads(done.stdout)
    assert (found["inserted"], found["deleted"], len(found["updated"])) == (["99"], ["29"], 22)
    assert found["updated"][0] == {
        "annotation_id": "0",
        "key": "photos/0.jpg",
        "fields": ["labels", "lead_time"],
        "labels_added": ["pear"],
        "labels_removed": ["apple"],
    }
    assert (found["before"]["version"], found["before"]["labels"]) == ("v1", {"apple": 30})
    assert (found["after"]["version"], found["after"]["labels"]) == ("v2", {"apple": 7, "pear": 22})
    assert sum(found["after"]["splits"].values()) == found["after"]["status"]["submitted"] == 30
    assert done.stderr.strip() == f"report: {folder}/report.html"
    assert "<h1>fruits: v1 → v2</h1>" in (folder / "report.html").read_text()


def test_a_report_is_called_as_it_is_even_in_brackets(folder: Path) -> None:
    done = diff(folder, "v1", "--html", str(folder / "[red]report.html"))
    assert done.stderr.strip() == f"report: {folder}/[red]report.html"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("v1", "v7"), "has no version v7: the newest is v2"),
        (("nightly",), "has no tag 'nightly'; there is: latest, production"),
        (
            ("v1", "--html", "/nowhere/report.html"),
            "the report cannot be written to /nowhere/report.html: No such file",
        ),
    ],
)
def test_what_cannot_be_is_one_clear_line(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    done = diff(folder, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
