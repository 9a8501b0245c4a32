"""Reading a large snapshot beside a Parquet file of the same rows: opening, random rows, shuffled training."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

import syncd
from tests.bench.goals import Goal
from tests.bench.parquet import GROUP, ParquetTable

_TAKEN = 10_000
_SHUFFLED = 100_000
_COLUMNS = ("key", "labels", "result")
_OPENING = """
import sys, time
started = time.perf_counter()
import lance, pyarrow, syncd, syncd.training.reader
imported = time.perf_counter()
rows = len(syncd.open_snapshot(sys.argv[1]))
print(imported - started, time.perf_counter() - imported, rows)
"""


def opened(uri: str, folder: Path, rounds: int) -> Goal:
    """A fresh process each time, its libraries imported, the table's pages dropped from the system's cache."""
    imports, opens = [], []
    for _ in range(rounds):
        _forget(folder)
        printed = subprocess.run([sys.executable, "-c", _OPENING, uri], check=True, capture_output=True, text=True)
        imported, took, _ = map(float, printed.stdout.split())
        imports.append(imported)
        opens.append(took)
    detail = f"a fresh process, files not in memory; importing takes {statistics.median(imports):.2f} s more"
    return Goal("opening @latest cold", 1000 * statistics.median(opens), "ms", 100, detail=detail)


def random_rows(uri: str, parquet: ParquetTable, rounds: int, when: str) -> Iterator[Goal]:
    """10,000 rows at random, all columns, from either in turn."""
    snapshot, chance = syncd.open_snapshot(uri), np.random.default_rng(6)
    ids = np.asarray(snapshot.row_ids())
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        picked = chance.choice(len(ids), _TAKEN, replace=False)
        ours.append(_timed(lambda: snapshot.take(ids[picked])))  # noqa: B023 - called at once
        places = chance.choice(parquet.rows, _TAKEN, replace=False)
        theirs.append(_timed(lambda: parquet.take(places)))  # noqa: B023
    mine, other = statistics.median(ours), statistics.median(theirs)
    detail = f"{1000 * mine:.0f} ms by row id, beside {1000 * other:.0f} ms by place from Parquet"
    yield Goal(f"10,000 random rows, {when}: times as fast", other / mine, "", 3, at_least=True, detail=detail)


def shuffled(uri: str, parquet: ParquetTable) -> Iterator[Goal]:
    """Rows per second of training on shuffled rows, their answers parsed, in one process."""
    ours = _rate(syncd.open_snapshot(uri).to_torch(iterable=True, shuffle=True, columns=_COLUMNS))
    theirs = _rate(parquet.shuffled(_COLUMNS))
    detail = (
        f"all rows shuffled; a plain Parquet loader, shuffling within row groups of {GROUP:,}: {theirs:,.0f} rows/s"
    )
    yield Goal("to_torch with shuffle", ours, "rows/s", detail=detail)


def _rate(rows: Iterable[Any]) -> float:
    """Rows per second of the first many, from when the first is asked for."""
    started = time.perf_counter()
    count = sum(1 for _ in islice(DataLoader(rows, batch_size=None), _SHUFFLED))
    return count / (time.perf_counter() - started)


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    found = work()
    took = time.perf_counter() - started
    assert len(found) == _TAKEN
    return took


def _forget(folder: Path) -> None:
    """Have the system drop what it holds of the files in memory, as far as an ordinary user may ask it to."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
