"""A bucket of a million objects looked at beside a state that knows them all, as the daemon does every few minutes.

Called by `python -m tests.bench`. The bucket is a served fake that says it is one (`listing_server`); the state is the
real one, and so is Label Studio's adapter, whose server would only count its connections. Every run (`listing_runs`) is
a process of its own, in turn with obstore's bare listing of the same pages.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.goals import Goal
from tests.bench.listing_runs import Pass

SERVERS = ("obstore",)
_RUN_WITHIN_S = 1_800


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--objects", type=int, default=1_000_000, help="listed (default: 1,000,000)")
    parser.add_argument("--times", type=int, default=3, help="how many more, to see that memory stays; 0: skip it")
    parser.add_argument("--listings", type=int, default=5, help="how often each is measured (default: 5)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    few = _measured(options.objects, options.listings)
    found = list(_goals(few))
    if options.times:
        found.append(_flat(few, _measured(options.objects * options.times, 1)))
    return found


@dataclass(frozen=True)
class _Run:
    """What one process did, and the most memory it had, MB."""

    passes: Sequence[Pass]
    memory: float


@dataclass(frozen=True)
class _Runs:
    """All runs, and how many connections were made to the annotator."""

    objects: int
    ours: Sequence[_Run]
    bare: Sequence[_Run]
    calls: int

    @property
    def memory(self) -> float:
        """Of the worst run of ours, MB."""
        return max(run.memory for run in self.ours)


def _measured(objects: int, rounds: int) -> _Runs:
    """Ours and the bare listing in turn."""
    sys.stderr.write(f"  {objects:,} objects, {rounds} rounds\n")
    with (
        _served(objects) as port,
        tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder,
        _Counter() as annotator,
    ):
        state = str(Path(folder) / "state.db")
        _run("fill", state, str(objects))
        pairs = [(_run("bare", port), _run("passes", state, port, annotator.port)) for _ in range(rounds)]
    bare, ours = zip(*pairs, strict=True)
    assert {one.objects for run in (*bare, *ours) for one in run.passes} == {objects}
    return _Runs(objects, ours, bare, annotator.calls)


def _goals(runs: _Runs) -> Iterator[Goal]:
    objects = f"{runs.objects:,} objects"
    first, second = ([run.passes[n] for run in runs.ours] for n in range(2))
    bare = [run.passes[0] for run in runs.bare]
    for name, these in (("with everything known", first), ("once more", second)):
        cpu = statistics.median(one.cpu for one in these)
        detail = f"{objects}; obstore's bare listing takes {statistics.median(one.cpu for one in bare):.1f} s"
        yield Goal(f"reconcile {name}: CPU", cpu, "s", 30 * runs.objects / 1e6, detail=detail)
    pairs = [b.seconds / ours.seconds for b, ours in zip(bare, first, strict=True)]
    rate = runs.objects / statistics.median(one.seconds for one in first)
    detail = f"{rate:,.0f} objects/s beside {runs.objects / statistics.median(b.seconds for b in bare):,.0f} of obstore"
    yield Goal("reconcile: a bare page loop's rate", statistics.median(pairs), "", 0.5, True, detail)
    most = max(run.memory for run in runs.bare)
    yield Goal("reconcile: memory", runs.memory, "MB", 150, detail=f"{objects}; obstore's bare listing {most:.0f} MB")
    yield Goal(
        "reconcile: connections to the annotator", runs.calls, "", 0, detail=f"{len(runs.ours)} times two passes"
    )


def _flat(few: _Runs, many: _Runs) -> Goal:
    detail = f"{many.memory:.0f} MB for {many.objects:,} beside {few.memory:.0f} MB for {few.objects:,}"
    return Goal("reconcile: memory, of many more objects", many.memory / few.memory, "x", 1.1, detail=detail)


def _run(*what: str) -> _Run:
    command = [sys.executable, "-m", "tests.bench.listing_runs", *what]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=_RUN_WITHIN_S)
    *passes, memory = ran.stdout.splitlines()
    return _Run([Pass(**json.loads(line)) for line in passes], float(memory))


@contextmanager
def _served(objects: int) -> Iterator[str]:
    """The port of a server of so many objects."""
    command = [sys.executable, "-m", "tests.bench.listing_server", str(objects)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


class _Counter:
    """In the annotator's place: counts connections and ends them."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = str(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> "_Counter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # it is closed
                return
            self.calls += 1
            connection.close()
