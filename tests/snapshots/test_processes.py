"""Snapshots under `kill -9` and under several processes at once: real processes, a folder and a real S3 server."""

import asyncio
import json
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import Row, VersionInfo
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.committer import DATASET, batch

TORTURE = bool(os.environ.get("SYNCD_TORTURE"))  # minutes instead of seconds
KILLS = 50 if TORTURE else 6
BATCHES = 50 if TORTURE else 12

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
    return started("tests.snapshots.committer", root[0], json.dumps(root[1]), name, str(first), str(last))


def keeper(root: Root) -> subprocess.Popen[str]:
    return started("tests.snapshots.keeper", root[0], json.dumps(root[1]))


def started(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
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
    return states(*names, batches=batches)[-1]


def states(*names: str, batches: int) -> list[list[Row]]:
    """The rows after each batch."""
    rows: dict[str, Row] = {}
    found = []
    for name in names:
        for number in range(batches):
            for change in batch(name, number):
                rows.pop(change.annotation_id, None)
                if change.row:
                    rows[change.annotation_id] = change.row
            found.append([rows[id_] for id_ in sorted(rows)])
    return found


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


async def test_kills_at_any_moment_lose_nothing_and_leave_every_version_as_it_was_committed(tmp_path: Path) -> None:
    root: Root = (tmp_path.as_uri(), {})
    acknowledged, chance = 0, random.Random(7)
    said: dict[int, int] = {}  # version → batch
    for _ in range(KILLS):
        with committer(root, "a", acknowledged, 10_000) as process:
            go(process)
            await asyncio.sleep(chance.uniform(0.03, 0.3))
            process.kill()
            assert process.stdout
            lines = process.stdout.read().splitlines()
        said.update((int(version), int(number)) for number, version in map(str.split, lines) if version != "0")
        acknowledged += len(lines)
    assert acknowledged > 0
    with committer(root, "a", acknowledged, acknowledged + 1) as process:
        go(process)
    store = opened(root)
    versions = await checked_versions(store)
    after = states("a", batches=acknowledged + 1)
    reached = 0
    for info in versions:
        rows = await store.rows(DATASET, info.number)
        reached = next(number for number in range(reached, len(after)) if after[number] == rows)
        assert said.get(info.number, reached) == reached
    assert reached == acknowledged
    assert await store.verify(DATASET, *(info.number for info in versions)) == []


async def test_two_processes_at_once_lose_and_double_nothing(root: Root) -> None:
    with committer(root, "a", 0, BATCHES) as one, committer(root, "b", 0, BATCHES) as two:
        go(one)
        go(two)
        printed = [process.communicate(timeout=200)[0] for process in (one, two)]
    assert [process.returncode for process in (one, two)] == [0, 0]
    store = opened(root)
    versions = await checked_versions(store)
    assert len(versions) == 2 * BATCHES
    assert await store.rows(DATASET, len(versions)) == expected("a", "b", batches=BATCHES)
    told = [int(line.split()[1]) for lines in printed for line in lines.splitlines()]
    assert sorted(told) == list(range(1, 2 * BATCHES + 1))
    for name, lines in zip("ab", printed, strict=True):
        for number, version in (map(int, line.split()) for line in lines.splitlines()):
            rows = await store.rows(DATASET, version) if version else []
            assert not version or {f"{name}-{number}-{n}" for n in range(3)} <= {row.annotation_id for row in rows}


async def test_the_first_commits_of_several_processes_make_one_table(root: Root) -> None:
    processes = [committer(root, name, 0, 2) for name in "abcd"]
    for process in processes:
        go(process)
    for process in processes:
        with process:
            assert process.wait(timeout=60) == 0
    versions = await checked_versions(opened(root))
    assert await opened(root).rows(DATASET, len(versions)) == expected(*"abcd", batches=2)


async def test_two_commit_while_a_third_compacts_and_collects(root: Root) -> None:
    """What is left at the end is what was committed, and it is sound; the versions that were collected say so."""
    with keeper(root) as third, committer(root, "a", 0, BATCHES) as one, committer(root, "b", 0, BATCHES) as two:
        for process in (third, one, two):
            go(process)
        assert [process.wait(timeout=200) for process in (one, two)] == [0, 0]
        compactions, collected = map(int, third.communicate("\n", timeout=60)[0].splitlines()[-1].split())
    assert compactions > 0
    assert collected > 0
    store = opened(root)
    versions = await store.versions(DATASET)
    newest = versions[-1].number
    assert [info.number for info in versions] == list(range(versions[0].number, newest + 1))
    assert await store.rows(DATASET, newest) == expected("a", "b", batches=BATCHES)
    for before, info in pairwise(versions):
        diff = await store.diff(DATASET, before.number, info.number)
        assert (len(diff.inserted), len(diff.updated), len(diff.deleted)) == (info.inserted, info.updated, info.deleted)
        assert len(await store.rows(DATASET, info.number)) == info.rows
    assert await store.verify(DATASET, *(info.number for info in versions)) == []
    with pytest.raises(Rejected, match=rf"v1 of 'fruits' was removed .* the oldest kept is v{versions[0].number}"):
        await store.rows(DATASET, 1)
