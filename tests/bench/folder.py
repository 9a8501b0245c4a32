"""Files of a folder noticed per second, beside a bare watchdog observer; and whether all are, after an overflow.

Called by `python -m tests.bench`. Both watchers (`folder_server`) are processes of their own on folders of their own
and take turns. This process writes the files, 1 kB each into new folders of a thousand, as fast as it can, and takes
the time until the last is noticed: with us, until its mark is durable. Then ours is stopped (SIGSTOP) while more files
are written than the kernel's queue holds, and must find them all.
"""

import argparse
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from tests.bench.goals import Goal
from tests.bench.process import cpu

SERVERS = ("watchdog",)

_PER_FOLDER = 1_000
_RESOLUTION_S = 0.01
_WITHIN_S = 600.0
_QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--files", type=int, default=10_000, help="of a round (default: 10,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as home:
        return list(_goals(Path(home), options.files, options.rounds))


class Watcher(Protocol):
    """One side: its process, its folder, and how many files it noticed so far."""

    process: subprocess.Popen[str]
    folder: Path

    def noticed(self) -> int:
        """Files noticed since it started."""
        ...


def _goals(home: Path, files: int, rounds: int) -> Iterator[Goal]:
    with _watching(Bare, home / "bare") as bare, _watching(Ours, home / "ours") as ours:
        sides: tuple[Watcher, ...] = (bare, ours)
        for side in sides:
            _noticed(side, min(files, 1_000))
        before = [cpu(side.process.pid) for side in sides]
        seconds = [[_noticed(side, files) for side in sides] for _ in range(rounds)]
        used = [cpu(side.process.pid) - begun for side, begun in zip(sides, before, strict=True)]
        theirs, mine = (statistics.median(times) for times in zip(*seconds, strict=True))
        ratio = statistics.median(bare_s / ours_s for bare_s, ours_s in seconds)
        other, own = (f"{1e6 * seconds / (files * rounds):.0f} µs" for seconds in used)
        detail = f"{files / mine:,.0f} files/s beside {files / theirs:,.0f}/s; {own} of CPU a file beside {other}"
        yield Goal("files marked per second, of a bare observer's", ratio, "times", 0.8, True, detail)
        yield _overflow(ours)


def _noticed(side: Watcher, files: int) -> float:
    """Seconds from the first file written until the last was noticed."""
    wanted = side.noticed() + files
    begun = time.perf_counter()
    _write(side.folder, files)
    _until(side, wanted, begun)
    return time.perf_counter() - begun


def _overflow(side: Watcher) -> Goal:
    """Files that are never found after the kernel dropped their events."""
    files = int(_QUEUE.read_text()) + 2_000
    wanted = side.noticed() + files
    os.kill(side.process.pid, signal.SIGSTOP)
    _write(side.folder, files)
    begun = time.perf_counter()
    os.kill(side.process.pid, signal.SIGCONT)
    _until(side, wanted, begun)
    took = time.perf_counter() - begun
    detail = f"{files:,} files written while it stood still, all marked {took:.1f} s after it went on"
    return Goal("files never found after an overflow", wanted - side.noticed(), "", 0, detail=detail)


def _until(side: Watcher, wanted: int, begun: float) -> None:
    while side.noticed() < wanted:
        if time.perf_counter() > begun + _WITHIN_S:
            raise TimeoutError(f"{side.noticed():,} of {wanted:,} files noticed within {_WITHIN_S:g} s")
        time.sleep(_RESOLUTION_S)


def _write(folder: Path, files: int) -> None:
    """New files in new folders."""
    round_ = folder / f"{len(list(folder.iterdir())):03d}"
    for start in range(0, files, _PER_FOLDER):
        part = round_ / f"{start:07d}"
        part.mkdir(parents=True)
        for number in range(start, min(start + _PER_FOLDER, files)):
            (part / f"{number:07d}.jpg").write_bytes(bytes(1_000))


class Bare:
    """watchdog, told of closed files."""

    def __init__(self, home: Path, process: "subprocess.Popen[str]") -> None:
        self.process, self.folder = process, home / "files"

    def noticed(self) -> int:
        """As the protocol says."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


class Ours:
    """The folder source on its state."""

    def __init__(self, home: Path, process: "subprocess.Popen[str]") -> None:
        self.process, self.folder = process, home / "files"
        self._state = home / "data" / "state.db"

    def noticed(self) -> int:
        """As the protocol says."""
        with closing(sqlite3.connect(f"file:{self._state}?mode=ro", uri=True)) as state:
            return int(state.execute("SELECT count(*) FROM subjects WHERE kind = 'object'").fetchone()[0])


@contextmanager
def _watching(side: type[Bare] | type[Ours], home: Path) -> Iterator[Watcher]:
    """A watcher that watches, until the context ends."""
    (home / "files").mkdir(parents=True)
    command = [sys.executable, "-m", "tests.bench.folder_server", side.__name__.lower(), str(home), f"{home}/files"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "watching\n"
            yield side(home, process)
        finally:
            process.kill()
