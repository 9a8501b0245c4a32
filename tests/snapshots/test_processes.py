"""Snapshots under `kill -9` and under several processes at once: real processes, a folder and a real S3 server."""

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.domain.model import Row, VersionInfo
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.committer import DATASET, batch

KILLS = 10
BATCHES = 15

Root = tuple[str, dict[str, str]]


@pytest.fixture(params=["folder", "seaweed"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    if request.param == "folder":
        return tmp_path.as_uri(), {}
    server: Seaweed = request.getfixturevalue("seaweed")
    return server.fresh(), server.options


def opened(root: Root) -> LanceSnapshots:
    return LanceSnapshots(root[0], clock=FakeClock(), storage_options=root[1])


def committer(root: Root, name: str, first: int, last: int) -> subprocess.Popen[str]:
    arguments = [root[0], json.dumps(root[1]), name, str(first), str(last)]
    command = [sys.executable, "-m", "tests.snapshots.committer", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def expected(*names: str, batches: int) -> list[Row]:
    """The rows after all batches. Batches of different names touch the same rows only with the same content."""
    rows: dict[str, Row] = {}
    for name in names:
        for number in range(batches):
            for change in batch(name, number):
                rows.pop(change.annotation_id, None)
                if change.row:
                    rows[change.annotation_id] = change.row
    return [rows[id_] for id_ in sorted(rows)]


async def checked_versions(store: LanceSnapshots) -> list[VersionInfo]:
    """All versions, after a look at each: no gap, every row once, counts that add up."""
    versions, rows_before = await store.versions(DATASET), 0
    assert [info.number for info in versions] == list(range(1, len(versions) + 1))
    for info in versions:
        rows = await store.rows(DATASET, info.number)
        assert len(rows) == len({row.annotation_id for row in rows}) == info.rows
        assert info.rows == rows_before + info.inserted - info.deleted
        assert info.inserted + info.updated + info.deleted > 0
        rows_before = info.rows
    return versions


async def test_ten_kills_at_any_moment_lose_nothing_and_leave_every_version_readable(tmp_path: Path) -> None:
    root: Root = (tmp_path.as_uri(), {})
    acknowledged, chance = 0, random.Random(7)
    for _ in range(KILLS):
        with committer(root, "a", acknowledged, 10_000) as process:
            go(process)
            await asyncio.sleep(chance.uniform(0.03, 0.3))
            process.kill()
            assert process.stdout
            acknowledged += process.stdout.read().count("\n")
    assert acknowledged > 0
    with committer(root, "a", acknowledged, acknowledged + 1) as process:
        go(process)
    versions = await checked_versions(opened(root))
    assert await opened(root).rows(DATASET, len(versions)) == expected("a", batches=acknowledged + 1)


async def test_two_processes_at_once_lose_and_double_nothing(root: Root) -> None:
    with committer(root, "a", 0, BATCHES) as one, committer(root, "b", 0, BATCHES) as two:
        go(one)
        go(two)
        printed = [process.communicate(timeout=200)[0] for process in (one, two)]
    assert [process.returncode for process in (one, two)] == [0, 0]
    store = opened(root)
    versions = await checked_versions(store)
    assert await store.rows(DATASET, len(versions)) == expected("a", "b", batches=BATCHES)
    for name, lines in zip("ab", printed, strict=True):
        for number, version in (map(int, line.split()) for line in lines.splitlines()):
            rows = await store.rows(DATASET, version)
            assert {f"{name}-{number}-{n}" for n in range(3)} <= {row.annotation_id for row in rows}


async def test_the_first_commits_of_several_processes_make_one_table(root: Root) -> None:
    processes = [committer(root, name, 0, 2) for name in "abcd"]
    for process in processes:
        go(process)
    for process in processes:
        with process:
            assert process.wait(timeout=60) == 0
    versions = await checked_versions(opened(root))
    assert await opened(root).rows(DATASET, len(versions)) == expected(*"abcd", batches=2)
