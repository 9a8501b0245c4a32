"""A listing of many objects joined with the state, beside obstore's bare listing of the same served pages.

Called by `tests.bench.sources`. The server of the pages (`listing_server`) is a fake that says it is one; every run
(`listing_runs`) is a process of its own, in turn, so its CPU and memory are its own. Measured is a dry run of reconcile
that finds nothing to do, as nearly all are.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.goals import Goal

_RUN_WITHIN_S = 1_800


def goals(objects: int, rounds: int) -> Iterator[Goal]:
    """CPU beside the bare listing, and memory."""
    with _served(objects) as port, tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder:
        state = str(Path(folder) / "state.db")
        _run("fill", state, str(objects))
        bare, join = [], []
        for _ in range(rounds):
            bare.append(_run("bare", port))
            join.append(_run("join", state, port))
    assert {counted for counted, _, _ in bare + join} == {objects}
    mine, other = (statistics.median(cpu for _, cpu, _ in runs) for runs in (join, bare))
    detail = f"{mine:.1f} s for {objects:,} objects, beside {other:.1f} s of obstore's bare listing"
    yield Goal("listing joined with the state: times its CPU", mine / other, "", 3, detail=detail)
    most = max(memory for _, _, memory in join)
    bare_most = max(memory for _, _, memory in bare)
    yield Goal("listing joined with the state: memory", most, "MB", 150, detail=f"obstore's bare: {bare_most:.0f} MB")


def _run(*what: str) -> tuple[int, float, float]:
    """Objects counted, CPU seconds, MB."""
    command = [sys.executable, "-m", "tests.bench.listing_runs", *what]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_RUN_WITHIN_S)
    counted, cpu, memory, _ = ran.stdout.splitlines()[-1].split()
    return int(counted), float(cpu), float(memory)


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
