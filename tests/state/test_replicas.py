"""Several processes on one PostgreSQL: nothing is worked on twice, nothing is lost, whoever dies or stands still."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from syncd.domain.model import Mark, Observation
from syncd.runtime.clock import SystemClock
from syncd.state import open_state
from tests.postgres import Postgres
from tests.state.replicas import subjects

REPOSITORY = Path(__file__).parents[2]


def replica(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.state.replicas", *arguments]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)


def said(*replicas: subprocess.Popen[bytes]) -> list[Any]:
    """All that they said, once they have ended; one that was not killed said that it came to its end."""
    words: list[Any] = []
    for process in replicas:
        output = process.communicate(timeout=120)[0]
        lines = [orjson.loads(line) for line in output.splitlines() if line.endswith((b"]", b'"'))]
        assert process.returncode in (0, -signal.SIGKILL)
        assert process.returncode or lines[-1] == "end"
        words += [line for line in lines if isinstance(line, list)]
    return [tuple(pair) for line in words for pair in line]


def wait_for(process: subprocess.Popen[bytes], word: str) -> None:
    assert process.stdout
    assert orjson.loads(process.stdout.readline()) == word


async def put_in(url: str, count: int) -> None:
    state = await open_state(url, SystemClock())
    await state.mark([Mark(subject, Observation(1.0, sequencer="0")) for subject in subjects(count)])
    await state.close()


def test_three_replicas_share_the_work_and_none_does_what_another_did(postgres_url: str) -> None:
    asyncio.run(put_in(postgres_url, 600))
    replicas = [replica("work", postgres_url, "60") for _ in range(3)]
    done = Counter(id_ for id_, _ in said(*replicas))
    assert done == Counter(subject.id for subject in subjects(600))


def test_what_one_held_that_was_killed_is_done_by_others_after_its_lease(postgres_url: str) -> None:
    asyncio.run(put_in(postgres_url, 400))
    doomed, *others = [replica("work", postgres_url, "1") for _ in range(3)]
    wait_for(doomed, "begin")
    assert doomed.stdout
    doomed.stdout.readline()
    doomed.kill()
    done = Counter(id_ for id_, _ in said(doomed, *others))
    assert set(done.values()) == {1}
    assert len(done) >= 400 - 30, "only the last it settled, and the line read above, it cannot tell of"


def test_no_mark_is_lost_among_those_who_mark_at_once(postgres: Postgres, postgres_url: str) -> None:
    markers = [replica("mark", postgres_url, "60", "8", who) for who in "abc"]
    said(*markers)
    rows = postgres.fetch("SELECT id, generation, observation FROM subjects", database="state")
    assert sorted(row[0] for row in rows) == sorted(subject.id for subject in subjects(60))
    assert {row[1] for row in rows} == {3 * 8}
    assert {orjson.loads(row[2])["sequencer"] for row in rows} == {"0007c"}


def test_what_was_marked_last_is_worked_on_last_while_others_work(postgres_url: str) -> None:
    asyncio.run(put_in(postgres_url, 50))
    markers = [replica("mark", postgres_url, "50", "6", who) for who in "ab"]
    workers = [replica("work", postgres_url, "60") for _ in range(2)]
    said(*markers)
    done = said(*workers, replica("work", postgres_url, "60"))
    latest: dict[str, str] = {}
    for id_, sequencer in done:
        latest[id_] = max(latest.get(id_, ""), sequencer)
    assert latest == {subject.id: "0005b" for subject in subjects(50)}


def test_a_lease_is_held_by_one_at_a_time(postgres: Postgres, postgres_url: str) -> None:
    said(*(replica("lease", postgres_url, "reconcile pets", "25") for _ in range(3)))
    assert postgres.fetch("SELECT value FROM cursors", database="state") == [("75",)]


def test_one_that_stands_still_in_a_transaction_holds_up_nobody_for_long(postgres: Postgres, postgres_url: str) -> None:
    asyncio.run(put_in(postgres_url, 1))
    stopped = replica("stop", postgres_url)
    wait_for(stopped, "stopping")
    start = time.monotonic()
    asyncio.run(put_in(postgres_url, 1))
    assert time.monotonic() - start < 9, "others wait no longer than its transaction may idle"
    os.kill(stopped.pid, signal.SIGCONT)
    said(stopped)
    rows = postgres.fetch("SELECT generation, reason FROM subjects", database="state")
    assert rows == [(2, "")], "what it was about to write had been given up"
    assert postgres.fetch("SELECT value FROM cursors", database="state") == [("yes",)]
