"""Snapshots of a million rows: what a commit costs, how soon a version opens, how fast rows come.

Called by `python -m tests.bench`. Two tables are made, a large one and one of a tenth, each through the public store;
the large one stands as one Parquet file beside it. Then commits of 1,000 mixed changes to both and rewrites of the
file take turns, and medians are compared. All in a temporary folder.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from syncd.domain.model import StagedChange
from syncd.domain.splits import Splits
from syncd.snapshots.store import LanceSnapshots
from tests.bench import reading
from tests.bench.goals import Goal
from tests.bench.parquet import ParquetTable
from tests.bench.rows import Rows
from tests.clock import FakeClock

DATASET = "fruits"
CONFIG = "<View><Image name='image' value='$image'/></View>"
_AT_ONCE = 100_000
_MEGABYTE = 1e6
_COMMITS = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large table (default: 1,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured (default: 5)")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (default: the system's)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="syncd-bench-") as folder:
        return list(_goals(Path(folder), options.rows, options.rounds))


def _goals(folder: Path, rows: int, rounds: int) -> Iterator[Goal]:
    source = Rows()
    small, large = (Table(folder / name, count, source) for name, count in (("small", rows // 10), ("large", rows)))
    _say(f"making tables of {rows // 10:,} and {rows:,} rows")
    for table in (small, large):
        table.fill()
    parquet = ParquetTable(folder / "rows.parquet", large.uri)
    yield from _commit_goals(small, large, parquet, rounds)
    _say("opening and reading")
    yield reading.opened(large.uri, large.path, rounds)
    yield from reading.random_rows(large.uri, parquet, rounds, "before compaction")
    _say(f"compaction: {large.maintain():.1f} s")
    yield from reading.random_rows(large.uri, parquet, rounds, "after compaction")
    yield from reading.shuffled(large.uri, parquet)


@dataclass(frozen=True)
class Cost:
    """What a change took: seconds, and bytes written."""

    seconds: float
    size: float


@dataclass
class Table:
    """A dataset of our own, with what is known of its rows."""

    path: Path
    count: int
    source: Rows
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    generation: int = 0

    def __post_init__(self) -> None:
        """Open the store."""
        self.path.mkdir()
        self._store = LanceSnapshots(self.path.as_uri(), clock=FakeClock())

    @property
    def uri(self) -> str:
        """Its newest version."""
        return f"{self.path.as_uri()}/{DATASET}@latest"

    def fill(self) -> None:
        """The first rows, in large commits."""
        for start in range(0, self.count, _AT_ONCE):
            self._commit(self.source.puts(range(start, min(start + _AT_ONCE, self.count))))

    def changes(self) -> list[StagedChange]:
        """1,000 mixed ones: 500 older rows changed, 400 new, 100 deleted."""
        self.generation += 1
        touched = self.chance.sample(range(self.count), 600)
        changed = self.source.puts(touched[:500], self.generation)
        new = self.source.puts(range(self.count, self.count + 400))
        self.count += 400
        return [*changed, *new, *map(self.source.gone, touched[500:])]

    def commit(self, changes: Sequence[StagedChange]) -> Cost:
        """What a commit took."""
        before = _files(self.path)
        started = time.perf_counter()
        self._commit(changes)
        took = time.perf_counter() - started
        written = _files(self.path).items() - before.items()
        return Cost(took, sum(size for _, (size, _) in written))

    def _commit(self, changes: Sequence[StagedChange]) -> None:
        made = asyncio.run(self._store.commit(DATASET, changes, CONFIG, Splits()))
        assert made is not None

    def maintain(self) -> float:
        """Seconds that compaction took, once so many commits had gathered that it was worth it."""
        for _ in range(_COMMITS):
            started = time.perf_counter()
            if asyncio.run(self._store.maintain(DATASET)):
                took = time.perf_counter() - started
                self._commit(self.changes())  # names it
                return took
            self._commit(self.changes())
        raise RuntimeError(f"{_COMMITS} commits were not worth a compaction")


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of every file."""
    stats = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def _commit_goals(small: Table, large: Table, parquet: ParquetTable, rounds: int) -> Iterator[Goal]:
    _say(f"commits of 1,000 changes and rewrites, {rounds} rounds")
    for table in (small, large):
        table.commit(table.changes())  # the first of a process loads what it needs
    measured = [_round(small, large, parquet) for _ in range(rounds)]
    ours, tenth, theirs = (_median([turn[who] for turn in measured]) for who in range(3))
    beside = f"{1000 * ours.seconds:.0f} ms, beside {1000 * theirs.seconds:,.0f} ms for writing the Parquet file anew"
    yield Goal("commit of 1,000 changes: time of a rewrite", 100 * ours.seconds / theirs.seconds, "%", 5, detail=beside)
    beside = f"{ours.size / _MEGABYTE:.2f} MB, beside {theirs.size / _MEGABYTE:.0f} MB"
    yield Goal("commit of 1,000 changes: bytes of a rewrite", 100 * ours.size / theirs.size, "%", 2, detail=beside)
    beside = f"{1000 * ours.seconds:.0f} ms, beside {1000 * tenth.seconds:.0f} ms at a tenth of the rows"
    yield Goal(
        "commit of 1,000 changes: times that of a table of a tenth", ours.seconds / tenth.seconds, "", 2, detail=beside
    )


def _round(small: Table, large: Table, parquet: ParquetTable) -> tuple[Cost, Cost, Cost]:
    """The large table's commit, the small one's, and a rewrite with the large one's changes."""
    changes = large.changes()
    return large.commit(changes), small.commit(small.changes()), Cost(*parquet.rewrite(changes))


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(cost.seconds for cost in costs), statistics.median(cost.size for cost in costs))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
