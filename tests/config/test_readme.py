"""What README shows can be copied: its configuration loads, and its commands are there."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syncd.cli import app
from syncd.config import load_config, warnings_of

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_configuration_loads_as_it_stands(tmp_path: Path) -> None:
    (shown,) = [block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[sources.photos]" in block]
    file = tmp_path / "syncd.toml"
    file.write_text(shown)
    config = load_config(file, {"HOME": str(tmp_path)})
    assert warnings_of(config) == []
    assert config.datasets["fruits"].labels == ["apple", "pear"]


def test_splits_and_triggers_load_beside_it(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "syncd.toml"
    file.write_text("\n".join(block for block in blocks if "[datasets.fruits" in block))
    fruits = load_config(file, {"HOME": str(tmp_path)}).datasets["fruits"]
    assert fruits.splits.stratify
    assert list(fruits.triggers) == ["retrain"]


COMMANDS = re.findall(r"(?:`|^ {4}|^|bin/)syncd ([a-z][a-z-]*)((?: [a-z]+)?)", README, re.MULTILINE)


@pytest.mark.parametrize(("name", "subcommand"), sorted({*COMMANDS} - {("keeps", " a")}))
def test_every_command_named_exists(name: str, subcommand: str) -> None:
    groups = {group.name for group in app.registered_groups}
    words = [name, *(subcommand.split() if name in groups else [])]
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0
