"""Whole and half-made environments."""

import sys
from pathlib import Path

import pytest

from syncd.annotators.label_studio.local.install import install, is_whole
from syncd.domain.errors import Retryable


def make_environment(path: Path) -> Path:
    """What an installation leaves behind, as far as we look at it."""
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").symlink_to(sys.executable)
    (path / "complete").write_text("1.23.2")
    return path


def test_an_environment_is_whole_only_with_its_marker_and_its_interpreter(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "env")
    assert is_whole(environment)
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").symlink_to("/python/that/was/upgraded/away")
    assert not is_whole(environment)

    interrupted = make_environment(tmp_path / "interrupted")
    (interrupted / "complete").unlink()
    assert not is_whole(interrupted)
    assert not is_whole(tmp_path / "absent")


def test_a_whole_environment_is_not_installed_again(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "env")
    lines: list[str] = []
    install(environment, "1.23.2", tmp_path / "log", lines.append)
    assert lines == []
    assert is_whole(environment)


def test_a_half_made_environment_is_cleared_and_a_failed_installation_leaves_no_whole_one(
    tmp_path: Path,
) -> None:
    environment = make_environment(tmp_path / "env")
    (environment / "complete").unlink()
    (environment / "leftover").touch()
    lines: list[str] = []
    with pytest.raises(Retryable, match=f"could not be installed.*{tmp_path / 'log'}"):
        install(environment, "0.0.0", tmp_path / "log", lines.append)  # there never was such a version
    assert not (environment / "leftover").exists()
    assert not is_whole(environment)
    assert (tmp_path / "log").read_text()
    assert len(lines) > 1  # the installer was heard
