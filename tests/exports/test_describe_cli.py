"""`syncd snapshot describe`, and what the configuration says of a dataset in exports, as one types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syncd.cli import app
from tests.exports.texts import everything

CONFIG = """
[sources.folder]
type = "folder"
path = "{home}"
[annotators.ls]
type = "label-studio"
url = "http://127.0.0.1:1"
token = {{ env = "TOKEN" }}
[datasets.texts]
annotator = "ls"
sources = ["folder"]
task = "named-entities"
labels = ["person"]
snapshots.url = "{root}"
[datasets.texts.about]
license = "CC-BY-4.0"
creators = ["Ada", "Bob"]
"""


@pytest.fixture
async def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    texts = everything(tmp_path)
    await texts.commit()
    monkeypatch.setenv("TOKEN", "none")
    path = tmp_path / "syncd.toml"
    path.write_text(CONFIG.format(home=tmp_path, root=texts.root), encoding="utf-8")
    return path


def typed(*words: str) -> str:
    """What a command printed; its error, raised."""
    ran = CliRunner().invoke(app, list(words))
    if ran.exception and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_version_is_described_as_a_card(config: Path) -> None:
    said = typed("snapshot", "describe", "texts", "--config", str(config))
    assert said.startswith('---\npretty_name: "texts"\nlicense: "cc-by-4.0"\n')
    assert "# texts v1" in said


def test_a_version_is_described_as_croissant(config: Path) -> None:
    said = json.loads(typed("snapshot", "describe", "texts@v1", "--format", "croissant", "--config", str(config)))
    assert (said["version"], said["license"]) == ("1.0.0", "CC-BY-4.0")
    assert [creator["name"] for creator in said["creator"]] == ["Ada", "Bob"]


def test_a_full_uri_needs_no_configuration(config: Path) -> None:
    said = typed("snapshot", "describe", f"{config.parent.as_uri()}/snapshots/texts@latest")
    assert "# texts v1" in said


@pytest.mark.parametrize(("format_", "card"), [("parquet", "README.md"), ("huggingface", "README.md")])
def test_exports_say_what_the_configuration_says(config: Path, format_: str, card: str) -> None:
    out = config.parent / "out"
    typed(
        "export", "texts", "-f", format_, "-o", str(out), "--config", str(config), "--option", "homepage=https://x.org"
    )
    text = (out / card).read_text(encoding="utf-8")
    assert 'license: "cc-by-4.0"' in text
    assert "https://x.org" in text


def test_formats_without_room_for_it_are_exported_too(config: Path) -> None:
    typed("export", "texts", "-f", "csv", "-o", str(config.parent / "out"), "--config", str(config))
    assert (config.parent / "out" / "annotations.csv").is_file()
