"""Rows 30, 38, 41, 44, 48, 50 and 51: what the routes of a whole daemon keep in its state file, and what not."""

import asyncio
import json
import os
import random
import time
from statistics import quantiles
from typing import Any

import pytest
from sqlalchemy import Connection

from syncd.config.models import Receiver
from syncd.domain.model import Kind
from tests.bad_inputs.conftest import WEBHOOK, Daemon
from tests.sources.amazon import records
from tests.sources.pushing import Answer

BURST = 100_000 if os.environ.get("SYNCD_TORTURE") else 10_000
IN_ONE = 1_000
LABEL_STUDIO_LIMIT_S = 1.0


def keys(start: int, count: int = IN_ONE) -> bytes:
    return records(*(f"{n}.jpg" for n in range(start, start + count))).encode()


# ------------------------------------------------------------ one effect, no loss


async def test_the_same_event_ten_times_and_ten_of_one_version_are_one_subject(daemon: Daemon) -> None:
    said = json.loads(records("a.jpg"))
    for n in range(20):
        said["Records"][0]["responseElements"] = {"x-amz-request-id": str(max(0, n - 10))}
        assert (await daemon.event(json.dumps(said).encode())).status == 204
    assert await daemon.waiting() == {Kind.OBJECT: 1}


def _limit_pages(connection: Connection, count: int) -> None:
    connection.exec_driver_sql(f"PRAGMA max_page_count = {count}")


def _read_only(connection: Connection, on: int) -> None:
    connection.exec_driver_sql(f"PRAGMA query_only = {on}")


@pytest.mark.parametrize("trouble", ["full", "read-only"])
async def test_a_disk_that_takes_nothing_is_503_and_what_was_told_2xx_is_there(daemon: Daemon, trouble: str) -> None:
    state: Any = daemon.parts.state
    before = await daemon.event(keys(0, 10))
    await (state._write(_limit_pages, 200) if trouble == "full" else state._write(_read_only, 1))
    refused = [await daemon.event(keys(start)) for start in range(IN_ONE, 6 * IN_ONE, IN_ONE)]
    hook = b'{"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "task": {"id": 7}}'
    if trouble == "read-only":
        refused.append(await daemon.webhook(hook))
        assert (await daemon.ask("GET", "/readyz")).status == 503
    taken = [before, *(answer for answer in refused if answer.status == 204)]
    denied = [answer for answer in refused if answer.status != 204]
    assert denied
    assert {answer.status for answer in denied} == {503}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in denied)
    assert not any(b"disk" in answer.body or b"state" in answer.body for answer in denied)
    assert (await daemon.waiting())[Kind.OBJECT] == 10 + IN_ONE * (len(taken) - 1), "what was acknowledged, no more"
    if trouble == "full":  # read-only cannot be taken back by writing
        await state._write(_limit_pages, 2**30)
        assert (await daemon.event(keys(IN_ONE))).status == 204
        assert (await daemon.ask("GET", "/readyz")).status == 200


# ------------------------------------------------------------ webhooks are hints

NOTHING: list[object] = [
    {"action": "ANNOTATION_CREATED"},
    {"action": "ANNOTATION_CREATED", "annotation": None, "task": None, "project": {"id": 999}},
    {"action": "ANNOTATION_UPDATED", "annotation": {"result": "no list"}, "task": {"id": "7"}},
    {"action": "ANNOTATION_UPDATED", "annotation": {"id": True, "task": -7}, "task": {"id": 7.0}},
    {"action": "ANNOTATION_UPDATED", "task": {"id": 2**64 + 1}},
    {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 404}, {"id": None}, 7]},
    {"action": "NEVER_HEARD_OF", "task": {"id": 7}},
    {"action": ["ANNOTATION_CREATED"], "task": {"id": 7}},
    {},
]


@pytest.mark.parametrize("event", NOTHING, ids=lambda event: json.dumps(event)[:50])
async def test_a_webhook_that_names_no_task_is_taken_and_marks_nothing(daemon: Daemon, event: object) -> None:
    assert (await daemon.webhook(json.dumps(event).encode())).status == 204
    assert await daemon.waiting() == {}


async def test_a_webhook_for_a_task_nobody_knows_is_a_hint_to_look_and_no_more(daemon: Daemon) -> None:
    event = {"action": "ANNOTATION_CREATED", "annotation": {"id": 5, "task": 404, "result": "no list"}, "project": {}}
    assert (await daemon.webhook(json.dumps(event).encode())).status == 204
    assert await daemon.waiting() == {Kind.TASK: 1}


async def test_the_echo_of_our_own_import_is_taken_at_once_and_marks_nothing(daemon: Daemon) -> None:
    """Label Studio tells of 5,000 tasks at once, 2.5 to 3.7 MB, and waits a second for the answer."""
    task = {"data": {"image": "s3://photos/a.jpg"}, "meta": {"syncd": {"key": "x" * 400}}, "overlap": 1}
    body = json.dumps({"action": "TASKS_CREATED", "tasks": [{"id": n, **task} for n in range(1, 5_001)]}).encode()
    assert len(body) > 2_000_000
    started = time.perf_counter()
    assert (await daemon.webhook(body)).status == 204
    assert time.perf_counter() - started < LABEL_STUDIO_LIMIT_S
    assert await daemon.waiting() == {}


async def test_a_storm_of_a_thousand_webhooks_is_taken_in_time_and_is_as_many_looks_as_tasks(daemon: Daemon) -> None:
    took: list[float] = []

    async def sender(lane: int) -> None:
        for n in range(25):
            event = {"action": "ANNOTATION_UPDATED", "annotation": {"id": 25 * lane + n + 1}, "task": {"id": n + 1}}
            started = time.perf_counter()
            assert (await daemon.webhook(json.dumps(event).encode())).status == 204
            took.append(time.perf_counter() - started)

    await asyncio.gather(*(sender(lane) for lane in range(40)))
    assert quantiles(took, n=100)[98] < LABEL_STUDIO_LIMIT_S
    assert await daemon.waiting() == {Kind.TASK: 25}


# ------------------------------------------------------------ what everybody may ask


async def test_names_that_senders_choose_are_no_labels_of_the_metrics(daemon: Daemon) -> None:
    async def flood(start: int) -> None:
        body = json.loads(records(*(f"{n}" for n in range(start, start + 200)), bucket="x"))
        for n, record in enumerate(body["Records"]):
            record["s3"]["bucket"]["name"] = f"bucket-{start + n}" if n % 2 else "photos"
            record["eventName"] = f"s3:Made:Up{start + n}" if n % 3 == 0 else record["eventName"]
            record["eventVersion"] = f"{start + n}.0" if n % 5 == 0 else "2.1"
        await daemon.event(json.dumps(body).encode())
        for n in range(20):
            await daemon.ask("GET", f"/made-up/{start + n}", User_Agent=f"agent-{start + n}")
            await daemon.ask(f"VERB{start + n}", "/events/cam", User_Agent=f"agent-{start + n}")
            await daemon.ask("POST", f"/events/made-up-{start + n}")

    await flood(0)
    await daemon.page()  # which is an answer to be counted itself
    before = await daemon.page()
    for start in range(1_000, 4_000, 1_000):
        await flood(start)
    after = await daemon.page()
    assert len(after.splitlines()) == len(before.splitlines())
    assert len(after) < 1_000_000
    assert not any(name in after for name in ("bucket-", "made-up", "Made:Up", "agent-", "VERB"))


OPEN = {"/livez", "/readyz", "/openapi.json"}
OPEN_ASIDE = {"/livez", "/readyz", "/metrics"}
PIECES = ["livez", "readyz", "metrics", "events", "cam", "webhooks", "label-studio", "fruits", "..", ".", "%2e%2e",
          "%00", "%ff", "%", "é", "\\", ";", "'", "<x>", "{x}", "admin", "pprof", ".env", "a" * 3_000]  # fmt: skip


@pytest.mark.parametrize("listener", ["receiver", "aside"])
async def test_whatever_path_is_asked_for_only_three_are_open_and_nothing_is_changed_or_shown(
    daemon: Daemon, listener: str
) -> None:
    ask, open_ = (daemon.ask, OPEN) if listener == "receiver" else (daemon.ask_aside, OPEN_ASIDE)
    chance = random.Random("row 51")
    for _ in range(400):
        path = "/" + chance.choice(["/", "//"]).join(chance.sample(PIECES, chance.randint(1, 4)))
        method = chance.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
        answer = await ask(method, path, b"{}" if method == "POST" else b"")
        opened = method == "GET" and path in open_
        assert answer.status == 200 if opened else answer.status in {400, 401, 404, 405, 415}, (method, path)
        assert opened or is_plain(answer), (method, path, answer.body)
    assert await daemon.waiting() == {}


def is_plain(answer: Answer) -> bool:
    """One line, no stack trace, no version of what serves it."""
    return len(answer.body) < 120 and b"Traceback" not in answer.body and b"aiohttp" not in answer.body


@pytest.mark.parametrize("path", [*sorted(OPEN), "/events/cam", WEBHOOK])
async def test_no_route_does_anything_by_a_method_that_is_not_its_own(daemon: Daemon, path: str) -> None:
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert (await daemon.ask(method, path)).status in {400, 405}
    assert (await daemon.ask("POST", path)).status in {401, 405, 415}
    assert await daemon.waiting() == {}


async def test_those_who_watch_have_an_address_of_their_own_that_no_sender_needs(daemon: Daemon) -> None:
    assert (await daemon.ask("GET", "/metrics")).status == 404
    assert (await daemon.ask_aside("GET", "/metrics")).status == 200
    for path in ("/events/cam", WEBHOOK):
        assert (await daemon.ask_aside("POST", path, b"{}")).status == 404
    for path in OPEN_ASIDE:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await daemon.ask_aside(method, path)).status == 405
    assert await daemon.waiting() == {}


def test_the_receiver_listens_on_this_host_only_unless_told_otherwise() -> None:
    assert Receiver().host == "127.0.0.1"
    assert Receiver().admin.startswith("127.0.0.1:")


async def test_a_source_that_does_not_work_as_it_should_is_noted_by_readyz_without_the_reason(daemon: Daemon) -> None:
    """Row 40: as a folder that is polled because the kernel grants no more watches."""
    assert (await daemon.ask("GET", "/readyz")).body == b"ready"
    source: Any = daemon.parts.sources["cam"]
    source.degraded = "/srv/photos: raise fs.inotify.max_user_watches"
    answer = await daemon.ask("GET", "/readyz")
    assert (answer.status, answer.body) == (200, b"ready\nsource cam is degraded; the log says why")
