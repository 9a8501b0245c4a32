"""Objects from the network are kept once, whole, and within bounds."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.domain.errors import Rejected
from syncd.training.media import MediaCache


def once(data: bytes, calls: list[int]) -> Iterator[bytes]:
    calls.append(1)
    yield data


def test_an_object_is_fetched_once(tmp_path: Path) -> None:
    cache, calls = MediaCache(tmp_path / "c"), list[int]()
    paths = {cache.get("abc.jpg", lambda: once(b"data", calls)) for _ in range(3)}
    assert [path.read_bytes() for path in paths] == [b"data"]
    assert len(calls) == 1
    assert MediaCache(tmp_path / "c").find("abc.jpg") in paths
    assert cache.find("other") is None


def test_many_who_come_at_once_fetch_once(tmp_path: Path) -> None:
    calls, entered, go = list[int](), threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        calls.append(1)
        entered.set()
        assert go.wait(10)
        yield b"data"

    cache, found = MediaCache(tmp_path), list[bytes]()
    threads = [threading.Thread(target=lambda: found.append(cache.get("ab", slow).read_bytes())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert (len(calls), found) == (1, [b"data"] * 8)


def test_many_processes_share_one_cache(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from syncd.training.media import MediaCache
def fetch():
    with Path(sys.argv[2]).open("a") as log:
        log.write("fetched\\n")
    yield b"x" * 500_000
    yield b"y" * 500_000
cache = MediaCache(Path(sys.argv[1]))
for n in range(20):
    assert cache.get(f"{n:02}-object", fetch).read_bytes() == b"x" * 500_000 + b"y" * 500_000
"""
    arguments = [sys.executable, "-c", code, str(tmp_path / "cache"), str(tmp_path / "log")]
    jobs = [subprocess.Popen(arguments) for _ in range(3)]
    assert [job.wait(60) for job in jobs] == [0, 0, 0]
    assert (tmp_path / "log").read_text().count("fetched") == 20


def test_a_fetch_that_fails_leaves_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    cache = MediaCache(tmp_path)
    with pytest.raises(ConnectionError):
        cache.get("ab", broken)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != ".locks"] == []
    assert cache.get("ab", lambda: iter([b"data"])).read_bytes() == b"data"


def test_what_a_killed_process_left_half_is_written_anew(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path)
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "abc.part").write_bytes(b"a long half of something")
    assert cache.get("abc", lambda: iter([b"data"])).read_bytes() == b"data"
    assert not (tmp_path / "ab" / "abc.part").exists()


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, limit=1000)
    for n in range(10):
        os.utime(cache.get(f"{n}-object", lambda: iter([b"x" * 100])), (n, n))
    assert cache.find("0-object")  # used now
    cache.get("a-object", lambda: iter([b"x" * 100]))
    left = [name for name in "0123456789a" if cache.find(f"{name}-object")]
    assert left == list("03456789a")


def test_an_object_larger_than_the_cache_is_given_all_the_same(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, limit=10)
    cache.get("small", lambda: iter([b"x"]))
    assert cache.get("large", lambda: iter([b"x" * 100])).stat().st_size == 100
    assert cache.find("small") is None


def test_a_full_cache_is_looked_through_by_each_new_process(tmp_path: Path) -> None:
    for n in range(30):
        MediaCache(tmp_path, limit=1000).get(f"{n:02}", lambda: iter([b"x" * 100]))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1000


def test_its_place_is_the_users_own_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SYNCD_CACHE", raising=False)
    cache = MediaCache()
    assert cache.folder == tmp_path / ".cache" / "syncd" / "media"
    cache.get("ab", lambda: iter([b"x"]))
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("SYNCD_CACHE", str(tmp_path / "elsewhere"))
    assert cache.folder == tmp_path / "elsewhere" / "media"


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Rejected, match=r"cannot be written: .*; make room there, set \$SYNCD_CACHE"):
        MediaCache(tmp_path / "file" / "cache").get("ab", lambda: iter([b"x"]))
