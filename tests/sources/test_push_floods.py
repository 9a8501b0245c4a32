"""Push sources against those who would use up memory, time or room before anybody knows who they are, or after."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from syncd.domain.notifications import EXCERPT
from syncd.domain.notifications.cloudevents import parse_cloudevents
from syncd.domain.notifications.fields import MOST_BAD
from syncd.domain.notifications.plain import parse_plain
from syncd.sources.ceph import CephSource
from syncd.sources.minio import MinioSource
from syncd.sources.receiver import Limits, Probes, Receiver
from syncd.sources.sns import SnsSource
from tests.known_secrets import HUSH
from tests.sources.amazon import TOPIC, records
from tests.sources.pushing import listening, made

JSON = {"Content-Type": "application/json"}
PACKED = {**JSON, "Content-Encoding": "gzip"}
BEARER = {"Authorization": f"Bearer {HUSH}", **JSON}
ROOM = Limits(body=200_000, bodies=1, header_timeout=5, body_timeout=5)


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", HUSH)


@asynccontextmanager
async def stalled(port: int, sent: int, length: int) -> AsyncIterator[None]:
    """Somebody without a token who sends the beginning of a body, and then nothing."""
    head = f"POST /events/photos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + b"\r\n" + b" " * sent)
    await writer.drain()
    try:
        yield
    finally:
        writer.close()
        await writer.wait_closed()


async def test_all_bodies_together_have_so_much_room_and_small_ones_always_have_some() -> None:
    large = records("a.jpg").encode() + b" " * 150_000
    async with listening(made(MinioSource, tokens=[{"env": "TOKEN"}]), limits=ROOM) as post:
        async with stalled(post.port, 190_000, 195_000):
            await until_refused(post.port, large)
            refused = await post.ask("POST", "/events/photos", large, BEARER)
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            assert (await post.ask("POST", "/events/photos", records("b.jpg").encode(), BEARER)).status == 204
        async with asyncio.timeout(5):
            while (await post.ask("POST", "/events/photos", large, BEARER)).status != 204:
                await asyncio.sleep(0.05)
        assert post.keys()[0] == "b.jpg"
        assert set(post.keys()) == {"a.jpg", "b.jpg"}


async def until_refused(port: int, large: bytes) -> None:
    """Return once what was sent before has been read: large bodies find no room."""
    head = f"POST /events/photos HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(large)}\r\n\r\n"
    async with asyncio.timeout(5):
        answer = b""
        while not answer.startswith(b"HTTP/1.1 503"):
            await asyncio.sleep(0.02)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + large)
            answer = await reader.readline()
            writer.close()


@pytest.mark.parametrize("kind", ["sns", "ceph"])
async def test_what_is_read_before_it_is_believed_is_small(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr("syncd.sources.sns.unwrap_sns", never)
    monkeypatch.setattr("syncd.sources.ceph.decoded_object", never)
    source = made(SnsSource, topics=[TOPIC]) if kind == "sns" else made(CephSource, tokens=[{"env": "TOKEN"}])
    bomb = gzip.compress(b'{"Records": [' + b"{}," * 1_000_000 + b"{}]}")
    async with listening(source, limits=Limits(body=8_000_000)) as post:
        assert (await post.ask("POST", "/events/photos", bomb, PACKED)).status == (413 if kind == "sns" else 401)
    assert not post.deliveries


def test_a_million_bad_events_in_one_message_are_kept_as_some_and_a_count() -> None:
    events = [{"type": "created", "key": f"nul\0{n}"} for n in range(MOST_BAD + 500)]
    events.insert(MOST_BAD + 100, {"type": "created", "key": "good.jpg"})
    notices = parse_plain(json.dumps({"bucket": "s3://photos", "events": events}).encode(), 1.0)
    assert [ref.key for ref, _ in notices.seen] == ["good.jpg"]
    assert len(notices.bad) == MOST_BAD + 1
    assert notices.bad[-1].reason == "too_large"
    assert notices.bad[-1].detail.startswith("500 more")


def test_headers_of_any_bytes_make_an_event_bad_and_nothing_worse() -> None:
    headers: Mapping[str, str] = {
        "ce-specversion": "1.0",
        "ce-type": "dev.syncd.object.created",
        "ce-source": "\udcff\udcfe" * EXCERPT,
        "content-type": "application/json",
    }
    (bad,) = parse_cloudevents(headers, b"", 1.0).bad
    assert bad.reason == "malformed"
    assert len(bad.excerpt) == EXCERPT


async def test_who_reads_slowly_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.sources.receiver._LEAVE_S", 0.2)

    async def ready() -> str:
        return ""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    def add_to(router: web.UrlDispatcher) -> None:
        router.add_get("/media", endless)

    receiver = Receiver({}, Probes(ready, lambda: (b"", "text/plain"), lambda *_: None), Limits())
    async with asyncio.timeout(10):
        async with receiver.listen("127.0.0.1", 0, add_to) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /media HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readline()
        writer.close()
