"""`syncd export`, as one types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syncd.cli import app
from syncd.domain.errors import ConfigError, Rejected
from tests.exports.world import World

runner = CliRunner()
CONFIG = """
[sources.photos]
type = "folder"
path = "{bucket}"
[annotators.ls]
type = "label-studio"
url = "http://127.0.0.1:1"
token = {{ env = "TOKEN" }}
[datasets.streets]
annotator = "ls"
sources = ["photos"]
task = "object-detection"
labels = ["car", "person"]
snapshots.url = "{snapshots}"
"""


@pytest.fixture
async def config(everything: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    await everything.commit()
    monkeypatch.setenv("TOKEN", "none")
    path = everything.home / "syncd.toml"
    path.write_text(CONFIG.format(bucket=everything.bucket, snapshots=everything.snapshots), encoding="utf-8")
    return path


def typed(*words: str) -> str:
    """What a command printed; its error, raised."""
    ran = runner.invoke(app, ["export", *words])
    if ran.exception and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_a_configured_dataset_is_exported_by_its_name(config: Path, tmp_path: Path) -> None:
    words = ["streets@v1", "--format", "yolo", "--out", str(tmp_path / "out"), "--config", str(config)]
    said = typed(*words)
    assert f"streets@v1 as yolo → {tmp_path}/out: 5 files, 3 images" in said
    assert "warning: yolo cannot hold all of it: a keypoint (2); the outline of a mask: the box" in said
    assert (tmp_path / "out/data.yaml").is_file()
    assert "is there already" in typed(*words)


def test_a_full_uri_needs_no_configuration(config: Path, everything: World, tmp_path: Path) -> None:
    uri = f"{everything.snapshots}/streets@latest"
    said = typed(uri, "-f", "coco", "-o", str(tmp_path / "out"), "--split", "val", "--media", "none", "--json")
    assert json.loads(said) == {
        "dataset": "streets",
        "version": "v1",
        "format": "coco",
        "out": str(tmp_path / "out"),
        "files": 2,
        "images": 1,
        "lost": {},
        "unchanged": False,
    }


def test_options_reach_the_format(config: Path, everything: World, tmp_path: Path) -> None:
    uri = f"{everything.snapshots}/streets"
    typed(uri, "-f", "masks", "-o", str(tmp_path / "out"), "--option", "instances=true", "--tasks", "majority")
    assert (tmp_path / "out/instances/val/b/x.png").is_file()
    assert json.loads((tmp_path / "out/manifest.json").read_text())["query"]["tasks"] == "majority"


def test_the_list_shows_every_format() -> None:
    rows = json.loads(typed("--list", "--json"))
    assert {"coco", "folders", "masks", "voc", "yolo", "yolo-obb", "yolo-seg"} <= {row["format"] for row in rows}
    assert "Pascal VOC" in typed("--list")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ([], ConfigError, "VERSION: name a version"),
        (["streets"], ConfigError, "--format: name a format; syncd export --list shows them"),
        (["apples", "-f", "coco", "-o", "{out}"], ConfigError, "one of the configured datasets: streets"),
        (["streets@v9", "-f", "coco", "-o", "{out}"], Rejected, "no version v9"),
        (["streets", "-f", "x", "-o", "{out}"], Rejected, "no format 'x'; there is: "),
        (["streets", "-f", "masks", "-o", "{out}", "--option", "instances"], ConfigError, "--option: NAME=VALUE"),
        (["streets", "-f", "folders", "-o", "{out}"], Rejected, "folders does not fit .*streets@v1"),
        (["streets", "-f", "yolo", "-o", "{out}", "--strict"], Rejected, "yolo cannot hold all of .*a keypoint"),
    ],
)
def test_what_cannot_be_done_is_told(
    words: list[str], error: type[Exception], message: str, config: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        typed(*(word.format(out=tmp_path / "out") for word in words), "--config", str(config))
    assert not (tmp_path / "out").exists()
