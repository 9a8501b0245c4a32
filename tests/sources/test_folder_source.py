"""What the folder source does with everything a file system can think of."""

import asyncio
import ctypes
import errno
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from syncd.domain.errors import ConfigError, Retryable
from syncd.domain.model import Observation
from syncd.domain.notifications import BadEvent
from syncd.ports import Clock, Folder, ObjectStore, Seen
from syncd.runtime.clock import SystemClock
from syncd.sources import feed
from syncd.sources.folder import FolderOptions, FolderSource
from syncd.stores import Stores
from tests.sources.waiting import until


class StepClock:
    """Stands still until it is told to step."""

    def __init__(self) -> None:
        self._now = 1_000_000.0
        self._asleep = 0

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when it has been stepped so far."""
        end = self._now + seconds
        self._asleep += 1
        try:
            while self._now < end:
                await asyncio.sleep(0.002)
        finally:
            self._asleep -= 1

    async def step_until(self, what: str, condition: Callable[[], object], *, by: float) -> None:
        """Step until the condition holds, but not while somebody is at work: what was due would be late by a step."""

        def step() -> object:
            if not (met := condition()) and self._asleep:
                self._now += by
            return met

        await until(what, step)


class Watched:
    """A running source, the keys it looked at, and what it delivered, in order."""

    def __init__(self, root: Path, clock: Clock, **options: Any) -> None:
        self.looked: list[str] = []
        self.seen: list[tuple[str, Observation]] = []
        self.rescans = 0
        self._stores = Stores({}, clock)
        self.source = FolderSource("photos", FolderOptions(path=root, **options), stores=self, clock=clock)

    def bucket(self, name: str) -> ObjectStore:
        return self._stores.bucket(name)

    def folder(self, url: str, **options: Any) -> Folder:
        looked, store = self.looked, self._stores.folder(url, **options)
        looks = store.looks

        async def counted(keys: Collection[str]) -> Mapping[str, Observation | Retryable]:
            seen = await looks(keys)
            looked.extend(keys)  # no sooner: what is written from now on was not seen
            return seen

        store.looks = counted  # type: ignore[method-assign]
        return store

    async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        self.seen += [(ref.key, observation) for ref, observation in seen]

    def rescan(self) -> None:
        self.rescans += 1

    def has(self, *keys: str) -> Callable[[], bool]:
        return lambda: set(keys) <= {key for key, seen in self.seen if not seen.gone}

    def lacks(self, *keys: str) -> Callable[[], bool]:
        return lambda: all(dict(self.seen).get(key, Observation(0)).gone for key in keys)

    def of(self, key: str) -> list[Observation]:
        return [seen for k, seen in self.seen if k == key]


@asynccontextmanager
async def watching(root: Path, *, clock: Clock | None = None, **options: Any) -> AsyncIterator[Watched]:
    watched = Watched(root, clock or SystemClock(), **options)
    job = asyncio.create_task(watched.source.run(watched.deliver, watched.rescan))
    await until("the watch stands", lambda: watched.rescans or job.done())
    try:
        yield watched
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


async def settled(watched: Watched, root: Path) -> None:
    """Whatever was done before this has been told, if it ever will be: a later change of the same folder has."""
    mark = f"mark-{len(watched.seen)}-{os.urandom(4).hex()}"
    (root / mark).write_bytes(b"")
    await until("a later file is seen", watched.has(mark))


# ------------------------------------------------------------ what is an object


async def test_only_regular_files_arrive(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    with socket.socket(socket.AF_UNIX) as server:
        async with watching(root, settle=0.05) as watched:
            (root / "link").symlink_to(tmp_path / "secret")
            (root / "loop").symlink_to(root)
            os.mkfifo(root / "pipe")
            server.bind(str(root / "socket"))
            (root / "directory").mkdir()
            (tmp_path / "hard").write_bytes(b"x")
            (root / "hard").hardlink_to(tmp_path / "hard")
            await until("the hard link arrives", watched.has("hard"))
            await settled(watched, root)
    assert {key for key, seen in watched.seen if not seen.gone and not key.startswith("mark")} == {"hard"}


async def test_any_name_arrives_byte_for_byte(tmp_path: Path) -> None:
    names = ["ü 😀", "line\nbreak", "100%2F", "#?", "a+b", "back\\slash", "\x1b[31m"]
    async with watching(tmp_path) as watched:
        (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"x")
        for name in names:
            (tmp_path / name).write_bytes(b"x")
        await until("all arrive", watched.has(*names))
        await settled(watched, tmp_path)
    for key, _ in watched.seen:
        key.encode()


async def test_what_the_selection_refuses_is_never_looked_at(tmp_path: Path) -> None:
    async with watching(tmp_path, include=("*.jpg",), exclude=("raw/**",)) as watched:
        (tmp_path / "raw").mkdir()
        for name in ("a.txt", ".a.jpg", "a.jpg.part", "raw/a.jpg", "last.jpg"):
            (tmp_path / name).write_bytes(b"x")
        await until("the wanted one arrives", watched.has("last.jpg"))
    assert set(watched.looked) == {"last.jpg"}


# ------------------------------------------------------------ only what is finished


async def test_a_closed_file_arrives_long_before_the_settle_time(tmp_path: Path) -> None:
    async with watching(tmp_path, settle=60) as watched:
        (tmp_path / "a").write_bytes(b"x")
        await until("it arrives", watched.has("a"))


async def test_a_file_renamed_into_place_arrives_once_under_its_last_name(tmp_path: Path) -> None:
    async with watching(tmp_path, settle=60) as watched:
        (tmp_path / "a.jpg.part").write_bytes(b"whole")
        (tmp_path / "a.jpg.part").rename(tmp_path / "a.jpg")
        await until("it arrives", watched.has("a.jpg"))
        await settled(watched, tmp_path)
    assert [seen.size for seen in watched.of("a.jpg")] == [5]
    assert watched.of("a.jpg.part") == []


async def test_a_file_moved_in_from_elsewhere_arrives_at_once(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    (tmp_path / "a").write_bytes(b"x")
    async with watching(root, settle=60) as watched:
        (tmp_path / "a").rename(root / "a")
        await until("it arrives", watched.has("a"))


async def test_a_file_replaced_by_a_rename_arrives_as_a_new_version(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    async with watching(tmp_path, settle=60) as watched:
        (tmp_path / "a.new").write_bytes(b"newer")
        (tmp_path / "a.new").replace(tmp_path / "a")
        await until("it arrives", watched.has("a"))
        await settled(watched, tmp_path)
    assert {seen.size for seen in watched.of("a")} == {5}
    assert watched.lacks("a.new")()


def looked_at(watched: Watched, times: int) -> Callable[[], bool]:
    return lambda: len(watched.looked) >= times


@pytest.mark.parametrize("polling", [False, True])
async def test_a_slow_writer_is_waited_for(tmp_path: Path, polling: bool) -> None:
    clock = StepClock()
    async with watching(tmp_path, clock=clock, settle=10, polling=polling, poll_every=0.05) as watched:
        with (tmp_path / "slow").open("wb") as file:
            for i in range(1, 9):
                file.write(b"x" * 1000)
                file.flush()
                await clock.step_until("it was looked at", looked_at(watched, i), by=11)
            assert watched.of("slow") == []
        await clock.step_until("it arrives", watched.has("slow"), by=11)
    assert {seen.size for seen in watched.of("slow")} == {8_000}


async def test_a_file_held_open_arrives_when_it_is_quiet_and_again_when_it_is_closed(tmp_path: Path) -> None:
    async with watching(tmp_path, settle=0.2) as watched:
        with (tmp_path / "log").open("wb") as file:
            file.write(b"one")
            file.flush()
            await until("it arrives", watched.has("log"))
            file.write(b"two")
        await until("the rest arrives", lambda: [seen.size for seen in watched.of("log")] == [3, 6])


async def test_a_copy_that_sets_the_time_after_closing_arrives_as_one_version(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    (tmp_path / "a").write_bytes(b"x")
    os.utime(tmp_path / "a", (1_000_000_000, 1_000_000_000))
    async with watching(root, settle=0.1) as watched:
        shutil.copy2(tmp_path / "a", root / "a")
        await until("it arrives", watched.has("a"))
        await settled(watched, root)
    assert {seen.etag for seen in watched.of("a")} == {f"{10**18:x}-1"}


async def test_a_time_set_later_arrives_as_well(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    async with watching(tmp_path, settle=0.05) as watched:
        os.utime(tmp_path / "a", (1_000_000_000, 1_000_000_000))
        await until("it arrives", lambda: [s.etag for s in watched.of("a")] == [f"{10**18:x}-1"])


# ------------------------------------------------------------ directories


async def test_a_directory_moved_in_brings_its_files(tmp_path: Path) -> None:
    root, batch = tmp_path / "photos", tmp_path / "batch"
    root.mkdir()
    (batch / "deep").mkdir(parents=True)
    (batch / "1.jpg").write_bytes(b"x")
    (batch / "deep" / "2.jpg").write_bytes(b"x")
    async with watching(root, settle=0.05) as watched:
        batch.rename(root / "new")
        await until("they arrive", watched.has("new/1.jpg", "new/deep/2.jpg"))
        (root / "new" / "deep" / "3.jpg").write_bytes(b"x")
        await until("it is watched from now on", watched.has("new/deep/3.jpg"))


async def test_a_directory_renamed_within_the_folder_moves_its_files(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "1.jpg").write_bytes(b"x")
    async with watching(tmp_path, settle=0.05) as watched:
        (tmp_path / "old").rename(tmp_path / "new")
        await until("the new name arrives", watched.has("new/1.jpg"))
        await until("the old one is gone", lambda: [s.gone for s in watched.of("old/1.jpg")] == [True])


async def test_a_directory_moved_out_asks_for_a_rescan(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    (root / "batch").mkdir(parents=True)
    (root / "batch" / "1.jpg").write_bytes(b"x")
    async with watching(root) as watched:
        (root / "batch").rename(tmp_path / "elsewhere")
        await until("a rescan is asked for", lambda: watched.rescans == 2)


async def test_a_deleted_directory_takes_its_files_along(tmp_path: Path) -> None:
    (tmp_path / "batch" / "deep").mkdir(parents=True)
    (tmp_path / "batch" / "deep" / "1.jpg").write_bytes(b"x")
    async with watching(tmp_path) as watched:
        shutil.rmtree(tmp_path / "batch")
        await until("its end arrives", lambda: [s.gone for s in watched.of("batch/deep/1.jpg")] == [True])
        assert watched.rescans == 1


async def test_a_tree_made_at_once_arrives_whole(tmp_path: Path) -> None:
    wanted = [f"{a}/{b}/{c}.jpg" for a in range(4) for b in range(4) for c in range(4)]
    async with watching(tmp_path, settle=0.05) as watched:
        for key in wanted:
            (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / key).write_bytes(b"x")
        await until("all arrive", watched.has(*wanted))


# ------------------------------------------------------------ bursts, overflow, limits


def make_empty_files(root: Path, count: int) -> None:
    for i in range(count):
        (root / f"{i}.jpg").touch()


def events_kept() -> int:
    """How many events the kernel keeps for a process that does not read them."""
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))


async def test_a_burst_of_five_thousand_arrives_whole_or_asks_for_a_rescan(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        await asyncio.to_thread(make_empty_files, tmp_path, 5_000)
        wanted = [f"{i}.jpg" for i in range(5_000)]
        everything = watched.has(*wanted)
        await until("all arrive", lambda: watched.rescans > 1 or everything(), within=60)


async def test_many_changes_of_one_file_are_one(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        for i in range(500):
            (tmp_path / "a").write_bytes(b"x" * i)
        await until("the last one arrives", lambda: [s.size for s in watched.of("a")][-1:] == [499])
    assert len(watched.of("a")) < 250


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
async def test_an_overflow_of_the_kernels_queue_asks_for_a_rescan(tmp_path: Path) -> None:
    """The watching process is stopped while more happens than the kernel keeps for it."""
    if events_kept() > 50_000:
        pytest.skip("this kernel keeps more events than a test should make")
    program = [sys.executable, "-m", "tests.sources.watcher_process", str(tmp_path)]
    watcher = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert watcher.stdout
    try:
        assert await asyncio.wait_for(watcher.stdout.readline(), 30) == b"rescan\n"
        watcher.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(make_empty_files, tmp_path, events_kept())
        (tmp_path / "made unseen").mkdir()
        watcher.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(watcher.stdout.readline(), 60) == b"rescan\n"
        (tmp_path / "made unseen" / "afterwards").write_bytes(b"x")
        assert await asyncio.wait_for(watcher.stdout.readline(), 60) == b"made unseen/afterwards\n"
    finally:
        watcher.kill()
        await watcher.communicate()


async def test_more_keys_than_may_wait_ask_for_a_rescan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_PENDING", 10)
    async with watching(tmp_path) as watched:
        for i in range(100):
            (tmp_path / f"{i}").write_bytes(b"x")
        await until("a rescan is asked for", lambda: watched.rescans > 1)
        await until("it goes on", lambda: (tmp_path / "later").write_bytes(b"x") and watched.has("later")())


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
@pytest.mark.parametrize("refused", ["root", "subdirectory"])
async def test_where_the_kernel_grants_no_more_watches_the_folder_is_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    from watchdog.observers import inotify_c  # noqa: PLC0415

    (tmp_path / "deep").mkdir()
    add = inotify_c.inotify_add_watch

    def at_limit(fd: int, path: bytes, mask: int) -> int:
        if refused == "subdirectory" and not path.endswith(b"deep"):
            return add(fd, path, mask)
        ctypes.set_errno(errno.ENOSPC)
        return -1

    monkeypatch.setattr(inotify_c, "inotify_add_watch", at_limit)
    with capture_logs() as logs:
        async with watching(tmp_path, settle=0.05, poll_every=0.1) as watched:
            await until("it polls", lambda: any(entry.get("polling") for entry in logs))
            assert "fs.inotify.max_user_watches" in watched.source.degraded
            (tmp_path / "deep" / "a").write_bytes(b"x")
            await until("it arrives all the same", watched.has("deep/a"))
            (tmp_path / "deep" / "a").unlink()
            await until("its end too", watched.lacks("deep/a"))
    (told,) = [entry for entry in logs if entry["event"] == "folder.watch_degraded"]
    assert "fs.inotify.max_user_watches" in told["reason"]


async def test_polling_follows_no_link(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "loop").symlink_to(root)
    async with watching(root, polling=True, poll_every=0.05, settle=0.05) as watched:
        (root / "out").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "secret").write_bytes(b"x")
        await settled(watched, root)
    assert not any("secret" in key or "loop" in key for key, seen in watched.seen if not seen.gone)


# ------------------------------------------------------------ the root


async def test_without_its_folder_a_source_does_not_start(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "missing", SystemClock())
    with pytest.raises(ConfigError, match=r"sources\.photos\.path"):
        await watched.source.run(watched.deliver, watched.rescan)
    assert watched.rescans == 0


def replaced(root: Path) -> None:
    root.rename(root.parent / "moved away")


@pytest.mark.parametrize("remove", [shutil.rmtree, replaced])
@pytest.mark.parametrize("polling", [False, True])
async def test_a_root_that_went_away_is_watched_again_when_it_is_back(
    tmp_path: Path, remove: Callable[[Path], None], polling: bool
) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    (root / "before").write_bytes(b"x")
    with capture_logs() as logs:
        async with watching(root, polling=polling, poll_every=0.05, settle=0.05) as watched:
            remove(root)
            await until("it notices", lambda: "folder.watch_lost" in [entry["event"] for entry in logs])
            root.mkdir()
            await until("a rescan is asked for", lambda: watched.rescans == 2)
            (root / "after").write_bytes(b"x")
            await until("it watches again", watched.has("after"))


async def test_a_root_replaced_in_an_instant_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    async with watching(root) as watched:
        root.rmdir()
        root.mkdir()
        await until("a rescan is asked for", lambda: watched.rescans == 2)
        (root / "after").write_bytes(b"x")
        await until("it watches the new one", watched.has("after"))


async def test_a_root_that_is_a_link_is_watched_and_followed_when_it_is_turned(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    root = tmp_path / "current"
    root.symlink_to("one")
    async with watching(root) as watched:
        (tmp_path / "one" / "a").write_bytes(b"x")
        await until("it arrives", watched.has("a"))
        root.unlink()
        root.symlink_to("two")
        await until("a rescan is asked for", lambda: watched.rescans == 2)
        (tmp_path / "two" / "b").write_bytes(b"x")
        await until("the new one is watched", watched.has("b"))


# ------------------------------------------------------------ options


@pytest.mark.parametrize(
    "options", [{"path": "photos"}, {"path": "/x", "settle": 0}, {"path": "/x", "recursive": True}, {}]
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FolderOptions.model_validate(options)


def test_a_bad_pattern_names_its_field(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.photos\.exclude\[0\]"):
        Watched(tmp_path, SystemClock(), exclude=("/raw",))
