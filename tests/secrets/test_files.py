"""Secret files are read again when, and only when, they have changed."""

import os
import time
from pathlib import Path

import pytest

from syncd.secrets.files import text_of

LONG_AGO_S = 60


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secret file that was written a minute ago, as far as the clock says."""
    path = tmp_path / "token"
    path.write_text("first\n")
    now = time.time_ns()
    monkeypatch.setattr("syncd.secrets.files.time.time_ns", lambda: now + LONG_AGO_S * 10**9)
    return path


def _opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which files are read from now on."""
    read, opened = Path.read_text, list[Path]()

    def noted(path: Path, **how: str) -> str:
        opened.append(path)
        return read(path, **how)

    monkeypatch.setattr(Path, "read_text", noted)
    return opened


def test_a_file_that_stands_is_read_once(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = _opened(monkeypatch)
    assert [text_of(settled) for _ in range(3)] == ["first"] * 3
    assert opened == [settled]


def test_a_replaced_or_rewritten_file_is_read_anew(settled: Path) -> None:
    assert text_of(settled) == "first"
    other = settled.with_name("other")
    other.write_text("other")
    other.rename(settled)
    assert text_of(settled) == "other"
    settled.write_text("third")
    assert text_of(settled) == "third"


def test_a_file_of_the_same_size_and_time_is_seen_by_its_change_of_status(settled: Path) -> None:
    """As by `cp -p` or a tool that sets the time back: ctime cannot be set."""
    before = settled.stat()
    assert text_of(settled) == "first"
    settled.write_text("later\n")
    os.utime(settled, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert text_of(settled) == "later"


def test_a_file_that_changed_just_now_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two changes within one tick of the file system's clock look like none."""
    path = tmp_path / "token"
    path.write_text("one")
    opened = _opened(monkeypatch)
    assert text_of(path) == "one"
    assert text_of(path) == "one"
    assert len(opened) == 2


def test_a_file_that_is_gone_is_an_error_although_it_was_known(settled: Path) -> None:
    assert text_of(settled) == "first"
    settled.unlink()
    with pytest.raises(FileNotFoundError):
        text_of(settled)
