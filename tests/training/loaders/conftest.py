"""One version of a dataset that rows came into, changed in and left, and what it should read as."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncd import open_snapshot
from syncd.domain.model import RowStatus, StagedChange
from syncd.snapshots.store import LanceSnapshots
from syncd.training.snapshot import Snapshot
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put

STATUSES = [RowStatus.SUBMITTED, RowStatus.SUBMITTED, RowStatus.SKIPPED]


def labelled(number: int, **fields: Any) -> StagedChange:
    """An answer to task `number // 2`, so that each task has two."""
    plain = {
        "task_id": str(number // 2),
        "status": STATUSES[number % 3],
        "labels": ("cat", "dog")[: number % 3],
        "split": "train" if number // 2 % 5 else "it's",
        "lead_time": number / 2 if number % 4 else None,
        "created_at": f"2026-11-20T18:{number:02}:00Z" if number % 4 else None,
        "retired": number % 7 == 0,
        "result": f'[{{"type": "choices", "n": {number}}}]',
        "key": f"d/ü {number}.jpg",
    }
    return put(f"a{number}", **{**plain, **fields})


@dataclass
class Made:
    """A root, and the ids it should give."""

    root: Path
    snapshot: Snapshot

    def ids(self, **query: Any) -> list[str]:
        """The annotation ids that a query finds, by the plainest way of reading."""
        return sorted(row["annotation_id"] for row in self.snapshot.rows(**query))


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """60 rows in three commits, with 10 changed and 6 deleted among them, and a fourth commit that is not read."""
    root = tmp_path_factory.mktemp("loaders")
    store = LanceSnapshots(root.as_uri(), clock=FakeClock())

    async def commit() -> None:
        await store.commit("fruits", [labelled(n) for n in range(40)], "h")
        await store.commit("fruits", [labelled(n, result='["changed"]') for n in range(5, 15)], "h")
        await store.commit("fruits", [*(gone(f"a{n}") for n in range(12, 18)), *map(labelled, range(40, 60))], "h")
        await store.commit("fruits", [gone(f"a{n}") for n in range(12)], "h")

    asyncio.run(commit())
    snapshot = open_snapshot(root / "fruits@v3")
    assert len(snapshot.to_arrow(status="all")) == 54
    return Made(root, snapshot)
