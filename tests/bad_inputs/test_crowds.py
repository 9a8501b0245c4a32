"""Rows 38 and 44: who sends much, to a running daemon: nothing is lost, and others are answered meanwhile."""

import asyncio
import json
import time

import aiohttp

from tests.bad_inputs.crowds import FULL, is_no_slower, p99
from tests.bad_inputs.running import SECRETS, Running, from_cam

LANES = 40
IN_ONE = 1_000
BURST = 100_000 if FULL else 20_000
A_SECOND = 1_000 if FULL else 200
LABEL_STUDIO_LIMIT_S = 1.0


async def test_a_flood_of_one_source_does_not_keep_another_waiting(daemon_process: Running) -> None:
    """Forty senders that never pause, of a thousand events each: some MB that are always waiting."""
    told: set[int] = set()

    async def flood(over: asyncio.Event) -> None:
        headers = {"Authorization": f"Bearer {SECRETS['CAM_TOKEN']}", "Content-Type": "application/json"}
        bodies = [from_cam(*(f"flood/{lane}/{n}" for n in range(IN_ONE))) for lane in range(LANES)]
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

            async def lane(body: bytes) -> None:
                while not over.is_set():
                    async with session.post(f"http://127.0.0.1:{daemon_process.port}/events/cam", data=body) as answer:
                        told.add(answer.status)
                        assert answer.status == 204 or int(answer.headers["Retry-After"]) >= 1

            await asyncio.gather(*(lane(body) for body in bodies))

    memory = daemon_process.memory()
    await is_no_slower(daemon_process, flood, most=10)
    assert told <= {204, 503}
    assert memory.grown() < 256 * 2**20


async def test_of_a_burst_nothing_is_lost_and_whoever_has_to_wait_is_told_how_long(daemon_process: Running) -> None:
    before = daemon_process.waiting().get("object", 0)
    headers = {"Authorization": f"Bearer {SECRETS['CAM_TOKEN']}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def sent(start: int) -> None:
            body = from_cam(*(f"burst/{n}" for n in range(start, start + IN_ONE)))
            while True:
                async with session.post(f"http://127.0.0.1:{daemon_process.port}/events/cam", data=body) as answer:
                    if answer.status == 204:
                        return
                    assert answer.status == 503
                    await asyncio.sleep(int(answer.headers["Retry-After"]))

        async with asyncio.timeout(120):
            await asyncio.gather(*(sent(start) for start in range(0, BURST, IN_ONE)))
    assert daemon_process.waiting()["object"] == before + BURST


async def test_a_storm_of_webhooks_is_answered_in_time_and_is_one_look_for_each_task(daemon_process: Running) -> None:
    """At the pace of the row for three seconds, while Label Studio waits a second for each answer."""
    ((secret,),) = daemon_process.asked("SELECT value FROM cursors WHERE name = 'webhook-secret:fruits'")
    took: list[float] = []
    headers = {"X-Syncd-Secret": secret, "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{daemon_process.port}/webhooks/label-studio/fruits"
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def told(n: int) -> None:
            event = {"action": "ANNOTATION_UPDATED", "annotation": {"id": n + 1}, "task": {"id": n % 50 + 1}}
            started = time.perf_counter()
            async with session.post(url, data=json.dumps(event)) as answer:
                assert answer.status == 204
            took.append(time.perf_counter() - started)

        async with asyncio.TaskGroup() as storm:
            for n in range(3 * A_SECOND):
                storm.create_task(told(n))
                await asyncio.sleep(1 / A_SECOND)
    assert p99(took) < LABEL_STUDIO_LIMIT_S
    assert daemon_process.waiting()["task"] == 50
