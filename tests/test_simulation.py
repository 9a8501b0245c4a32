"""The fault simulation over some hundred seeds; it can be trusted: the same seed is the same run, and it finds bugs."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from syncd.domain.model import ObjectRef, Row, StagedChange
from syncd.flows import collect, ingest
from tests.simulate.__main__ import story
from tests.simulate.simulation import simulate

SEEDS = int(os.environ.get("SYNCD_SEEDS", "300"))
EFFECTS = ("import_tasks", "intend", "fulfil", "settle", "mark", "stage", "claim", "put")
"""Calls that are common enough to meet every fault in some hundred seeds."""
FAULTS = (": refused", ": reset", ": crash", " is done: lost", " is done: crash")
"""Before the effect, and after it."""


def test_no_seed_loses_doubles_or_falsifies_anything_whatever_fails_wherever() -> None:
    met: Counter[str] = Counter()
    for seed in range(SEEDS):
        outcome = simulate(seed)
        met.update(outcome.counts)
        assert not outcome.wrongs, story(outcome)
    every = [effect + fault for effect in EFFECTS for fault in FAULTS]
    assert [fault for fault in (*every, "import_tasks: late") if not met[fault]] == []


def test_processes_that_sleep_past_their_leases_do_no_lasting_harm() -> None:
    for seed in range(SEEDS // 6):
        outcome = simulate(seed, paused=True)
        assert not outcome.wrongs, story(outcome)


def test_the_same_seed_is_the_same_run_in_any_process() -> None:
    traces = {seed: simulate(seed).trace for seed in (17, 23)}
    assert all(len(trace) > 200 for trace in traces.values())
    assert traces[17] != traces[23]
    assert simulate(17).trace == traces[17]
    assert {seed: _elsewhere(seed) for seed in traces} == traces


def _elsewhere(seed: int) -> list[str]:
    """The trace in a new process, whose hashes are others."""
    command = [sys.executable, "-m", "tests.simulate", "--seed", str(seed)]
    root, environment = Path(__file__).parent.parent, {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout.partition(f"\nseed {seed} ")[0].splitlines()


# ---------------------------------------------------------------- bugs that were put in are found


async def _adopt_nothing(*_: Any) -> set[ObjectRef]:
    """After a crash, import again without looking."""
    return set()


async def _notice_no_deletion(*_: Any) -> None:
    """Tasks that people deleted are made again, or are believed to be there."""


def _see_nothing_go(task_id: str, known: dict[str, str], rows: Sequence[Row]) -> Iterator[StagedChange]:
    """Rows of answers that people deleted stay."""
    return (StagedChange(row.annotation_id, task_id, row) for row in rows if known.get(row.annotation_id) != row.digest)


@pytest.mark.parametrize(
    ("module", "name", "bug"),
    [
        (ingest, "_adopt", _adopt_nothing),
        (collect, "_discard", _notice_no_deletion),
        (collect, "_changes", _see_nothing_go),
    ],
)
def test_a_bug_is_found_and_said_how_to_see_again(
    module: Any, name: str, bug: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, bug)
    found = next(outcome for outcome in map(simulate, range(SEEDS)) if outcome.wrongs)
    assert story(found).endswith(f"again: python -m tests.simulate --seed {found.seed}")
    assert simulate(found.seed).wrongs == found.wrongs
