"""Secrets of a manager while the daemon runs: warmed at the start, rotated without a restart, kept in an outage."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from syncd.domain.errors import ConfigError
from syncd.secrets import SecretRef, keep_fresh, warm
from syncd.secrets.cache import CACHE, Place, Unreadable
from tests.aws_emulators import Emulator, emulator
from tests.known_secrets import known
from tests.secrets.managers import manager

BEFORE, AFTER = known("s3cr3t-before"), known("s3cr3t-after")
TOKEN = SecretRef(aws_secret="studio", key="token")
FIELD = "annotators.studio.token"


class Rounds:
    """The pauses of `keep_fresh`, ended by the test: `await rounds.next()` is one round of refreshing, done."""

    def __init__(self) -> None:
        self._paused, self._go = asyncio.Event(), asyncio.Event()
        self.asked: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._paused.set()
        await self._go.wait()
        self._go.clear()

    async def next(self) -> None:
        await self._paused.wait()
        self._paused.clear()
        self._go.set()
        await self._paused.wait()


@asynccontextmanager
async def kept_fresh(*secrets: tuple[str, SecretRef]) -> AsyncIterator[Rounds]:
    """The job of the daemon, running."""
    rounds = Rounds()
    job = asyncio.create_task(keep_fresh(secrets, 300.0, rounds.sleep))
    try:
        yield rounds
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)


def environment(monkeypatch: pytest.MonkeyPatch, server: Emulator) -> None:
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)


async def test_a_rotated_secret_is_used_without_a_restart_and_outlives_its_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with structlog.testing.capture_logs() as logs:
        with emulator("ministack", tmp_path) as server:
            environment(monkeypatch, server)
            secrets = manager(server)
            secrets.create_secret(Name="studio", SecretString=json.dumps({"token": BEFORE}))
            await warm([(FIELD, TOKEN)])
            assert TOKEN.read(FIELD) == BEFORE
            async with kept_fresh((FIELD, TOKEN)) as rounds:
                secrets.put_secret_value(SecretId="studio", SecretString=json.dumps({"token": AFTER}))
                assert TOKEN.read(FIELD) == BEFORE  # what is known until somebody looks
                await rounds.next()
                assert TOKEN.read(FIELD) == AFTER
        async with kept_fresh((FIELD, TOKEN)) as rounds:  # the manager is down
            await rounds.next()
            await rounds.next()
            assert TOKEN.read(FIELD) == AFTER
    told = [entry["event"] for entry in logs]
    assert told == ["secret.rotated", "secret.refresh_failed"]
    assert logs[1]["secret"] == "AWS Secrets Manager secret studio"
    assert "AWS cannot be reached" in logs[1]["reason"]
    assert BEFORE not in str(logs)
    assert AFTER not in str(logs)


async def test_a_secret_that_cannot_be_read_stops_the_start_and_all_of_them_are_named(
    moto: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, moto)
    manager(moto).create_secret(Name="start", SecretString=json.dumps({"token": BEFORE}))
    good, other = SecretRef(aws_secret="start", key="token"), SecretRef(aws_secret="start", key="port")
    with pytest.raises(ConfigError) as caught:
        await warm([(FIELD, good), ("a", SecretRef(aws_secret="none")), ("b", other)])
    assert {problem.field for problem in caught.value.problems} == {"a", "b"}
    assert "there is none of that name" in str(caught.value)
    assert "a JSON object with a text at 'port'" in str(caught.value)
    assert BEFORE not in str(caught.value)


class Slow:
    """A double of a manager: it answers when the test lets it, and counts."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked: list[Place] = []
        self.down = False

    def fetch(self, place: Place) -> str:
        self.asked.append(place)
        assert self.may_answer.wait(10)
        if self.down:
            raise Unreadable("down", lasting=False)
        return BEFORE


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """The double, instead of all managers."""
    double = Slow()
    monkeypatch.setattr(CACHE, "fetch", double.fetch)
    return double


async def test_the_loop_runs_on_while_a_manager_is_slow(slow: Slow) -> None:
    ref = SecretRef(aws_secret="studio")
    warming = asyncio.create_task(warm([("a", SecretRef(env="A")), (FIELD, ref)]))
    while not slow.asked:
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not warming.done()
    slow.may_answer.set()
    await warming
    assert ref.read(FIELD) == BEFORE
    assert slow.asked == [ref.managed]  # once, and not again for the reading


async def test_refreshing_does_not_hold_the_loop_up_either(slow: Slow) -> None:
    slow.may_answer.set()
    ref = SecretRef(aws_secret="studio")
    await warm([(FIELD, ref)])
    slow.may_answer.clear()
    async with kept_fresh((FIELD, ref)) as rounds:
        round_ = asyncio.create_task(rounds.next())
        while len(slow.asked) < 2:
            await asyncio.sleep(0)
        assert ref.read(FIELD) == BEFORE
        slow.may_answer.set()
        await round_


async def test_an_outage_is_told_once_and_its_end_too(slow: Slow) -> None:
    slow.may_answer.set()
    with structlog.testing.capture_logs() as logs:
        async with kept_fresh((FIELD, TOKEN), ("b", TOKEN), ("c", SecretRef(env="C"))) as rounds:
            for down in (True, True, False, True):
                slow.down = down
                await rounds.next()
    assert [entry["event"] for entry in logs] == [
        "secret.refresh_failed",
        "secret.refresh_recovered",
        "secret.refresh_failed",
    ]
    assert rounds.asked == [300.0] * 5
    assert slow.asked == [TOKEN.managed] * 4  # two references, one secret


async def test_a_secret_nobody_warmed_can_be_read_on_the_loop_too(
    moto: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, moto)
    manager(moto).create_secret(Name="late", SecretString=BEFORE)
    assert SecretRef(aws_secret="late").read(FIELD) == BEFORE


async def test_secrets_on_this_machine_need_no_keeping(slow: Slow) -> None:
    await warm([("a", SecretRef(env="NOT_SET_ANYWHERE")), ("b", SecretRef(file=Path("/none")))])
    assert slow.asked == []
