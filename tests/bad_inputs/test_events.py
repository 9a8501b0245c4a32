"""Rows 20, 21, 26, 36 and 47: events that claim too much, come in thousands, or lead somewhere else."""

import asyncio
import gzip
import json
import time

import orjson
import pytest

from syncd.domain.layout import Layout, Limits
from syncd.sources.event_grid import EventGridSource
from syncd.sources.http import HttpSource
from syncd.sources.minio import MinioSource
from syncd.sources.receiver import Limits as Receiving
from tests.event_grid import validation_event
from tests.flows.composed import ComposedWorld
from tests.known_secrets import HUSH
from tests.sources.amazon import records
from tests.sources.pushing import listening, made
from tests.sources.test_push_payloads import minio
from tests.sources.test_sns import world as sns_world

GOOD = {"Authorization": f"Bearer {HUSH}", "Content-Type": "application/json"}
TB = 10**12


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", HUSH)


# ------------------------------------------------------------ what leads elsewhere


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1:{port}/cert.pem", "http://localhost:{port}/cert.pem", "https://sns.evil.com/SimpleNotif.pem",
     "https://169.254.169.254/latest.pem", "https://localhost:{port}/moved.pem"],
)  # fmt: skip
async def test_a_certificate_from_elsewhere_is_403_and_no_request_is_made(url: str) -> None:
    async with sns_world() as w:
        w.aws.pages["/moved.pem"] = (302, b"", w.aws.url("/cert.pem"))
        message = w.message(records("a"), SigningCertURL=url.format(port=w.aws.port))
        assert (await w.send(message)).status == 403
        assert w.aws.asked == (["/moved.pem"] if "moved" in url else []), "and a redirect is not followed"
        assert w.post.deliveries == 0


async def test_the_validation_url_of_event_grid_is_never_asked_for() -> None:
    """The code in the answer is enough; whoever knows the token may otherwise have us call any host."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/validate"
        event = validation_event()
        event["data"]["validationUrl"] = url
        async with listening(made(EventGridSource, url="az://photos", tokens=[{"env": "TOKEN"}])) as post:
            sent = orjson.dumps([event])
            assert (await post.ask("POST", f"/events/photos?code={HUSH}", sent, GOOD)).status == 200
            assert (await post.ask("POST", f"/events/other?code={HUSH}", sent, GOOD)).status == 404
            assert (await post.ask("POST", "/events/photos?code=wrong", sent, GOOD)).status == 401
            assert post.deliveries == 0
    assert asked == []


# ------------------------------------------------------------ thousands in one body


async def test_of_ten_thousand_records_each_bad_one_is_kept_and_all_others_are_stored_with_one_answer() -> None:
    body = json.loads(records(*(f"k{n}" for n in range(10_000))))
    for n in range(0, 10_000, 100):
        body["Records"][n]["s3"]["object"]["key"] = f"nul%00{n}"
    packed = gzip.compress(json.dumps(body).encode())
    async with listening(made(MinioSource, tokens=[{"env": "TOKEN"}]), limits=Receiving()) as post:
        started = time.perf_counter()
        answer = await post.ask("POST", "/events/photos", packed, {**GOOD, "Content-Encoding": "gzip"})
        assert time.perf_counter() - started < 5
        assert (answer.status, answer.body) == (204, b"")
        assert (len(post.seen), [bad.reason for bad in post.bad]) == (9_900, ["invalid_key"] * 100)


# ------------------------------------------------------------ sizes and times that are only claimed


async def test_an_object_said_to_have_fifty_terabytes_is_referenced_and_never_downloaded() -> None:
    world = ComposedWorld(Layout(limits=Limits(max_size=60 * TB)))
    await world.open()

    async def never(*_: object, **__: object) -> bytes:
        raise AssertionError("it was downloaded")

    world.store.get = never  # type: ignore[method-assign]
    for key, size in (("large.jpg", 50 * TB), ("larger.jpg", 70 * TB)):
        ref, _ = world.store.put(key, b"x")
        event = {"type": "created", "key": key, "etag": "e", "size": size, "sequencer": 1}
        async with listening(made(HttpSource, tokens=[{"env": "TOKEN"}])) as post:
            sent = json.dumps({"bucket": "photos", "events": [event]}).encode()
            assert (await post.ask("POST", "/events/photos", sent, GOOD)).status == 204
            ((_, seen),) = post.seen
        assert seen.size == size
        await world.saw(ref, seen)
    await world.work()
    assert set(world.data()) == {"large.jpg"}, "and what is over the limit of the configuration is none"
    assert await world.dead() == {}


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "noon", "", 7])
async def test_the_time_an_event_names_orders_nothing(at: object) -> None:
    async with listening(made(MinioSource, tokens=[{"env": "TOKEN"}])) as post:
        for told in ("2026-11-20T10:00:00.000Z", at):
            event = minio("a.jpg")
            event["Records"][0]["eventTime"] = told
            assert (await post.ask("POST", "/events/photos", json.dumps(event).encode(), GOOD)).status == 204
        (_, usual), (_, odd) = post.seen
    assert (odd.sequencer, odd.etag, odd.size, odd.gone) == (usual.sequencer, usual.etag, usual.size, usual.gone)
    assert abs(odd.observed_at - time.time()) < 60, "when we heard of it"
