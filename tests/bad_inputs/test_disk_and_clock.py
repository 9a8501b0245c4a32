"""Rows 47 and 48: a running daemon whose disk fails, or whose clock is set. The faults are made below the C library."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.bad_inputs.running import SECRETS, Running, from_app, running
from tests.torture.shim import Shim

pytestmark = pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="a C compiler makes the faults")
HOUR_S = 3600.0
HEADER_S = 2.0


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    folder = tmp_path / "shim"
    folder.mkdir()
    return Shim(folder)


@pytest.fixture
def daemon(tmp_path: Path, shim: Shim) -> Iterator[Running]:
    home = tmp_path / "daemon"
    with running(home, header=HEADER_S, environment=shim.environment(home / "data")) as listens:
        yield listens


async def asked(daemon: Running, body: bytes) -> tuple[int, str]:
    """Status and Retry-After of the answer to `app`."""
    headers = {"Authorization": f"Bearer {SECRETS['APP_TOKEN']}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{daemon.port}/events/app"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        assert b"disk" not in await answer.read()
        return answer.status, answer.headers.get("Retry-After", "")


@pytest.mark.parametrize("fault", ["full", "rofs", "sync"], ids=["full", "read-only", "fsync fails"])
async def test_a_disk_that_fails_is_503_and_what_was_told_2xx_is_there_after_a_kill(
    daemon: Running, shim: Shim, tmp_path: Path, fault: str
) -> None:
    told = {"before": (await asked(daemon, from_app("before")))[0]}
    shim.fail(fault)
    for n in range(5):
        status, after = await asked(daemon, from_app(f"while-{n}"))
        told[f"while-{n}"] = status
        assert (status, int(after) >= 1) == (503, True)
    assert shim.failures > 0
    shim.heal()
    async with asyncio.timeout(30):
        while (await asked(daemon, from_app("after")))[0] != 204:
            await asyncio.sleep(0.1)
    told["after"] = 204
    daemon.end()
    kept = {id_.split(" ")[1] for (id_,) in daemon.asked("SELECT id FROM subjects WHERE kind = 'object'")}
    assert {key for key, status in told.items() if status == 204} <= kept, "no false acknowledgement"
    with running(daemon.home) as again:
        assert (await asked(again, from_app("again")))[0] == 204


async def test_a_clock_that_jumps_orders_nothing_and_hurries_no_timer(daemon: Running, shim: Shim) -> None:
    async def created(sequencer: int) -> None:
        event = {"type": "created", "key": "a", "etag": f"e{sequencer}", "sequencer": sequencer}
        assert (await asked(daemon, json.dumps({"bucket": "scans", "events": [event]}).encode()))[0] == 204

    for jump, sequencer, newest in ((0.0, 5, 5), (-HOUR_S, 4, 5), (HOUR_S, 3, 5), (-HOUR_S, 6, 6), (HOUR_S, 2, 6)):
        shim.set_clock(jump)
        await created(sequencer)
        ((observation,),) = daemon.asked("SELECT observation FROM subjects WHERE kind = 'object'")
        assert json.loads(observation)["etag"] == f"e{newest}"
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    shim.set_clock(10 * HOUR_S)
    await asyncio.sleep(HEADER_S / 2)
    shim.set_clock(-10 * HOUR_S)
    assert await reader.read() == b""
    assert HEADER_S * 0.9 <= time.monotonic() - started <= HEADER_S + 3
    writer.close()
    assert daemon.process.poll() is None
