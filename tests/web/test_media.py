"""What a browser gets that follows the link of a task."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import aiohttp
import pytest
from aiohttp import web

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.media_links import MediaLinks
from syncd.domain.model import ObjectRef
from syncd.ports import ObjectStore
from syncd.stores.memory import MemoryStore
from syncd.web.media import MediaRoute, content_type
from tests.clock import FakeClock
from tests.known_secrets import HUSH

BODY = bytes(range(256)) * 4
REF = ObjectRef("s3://photos", "cats/ä 1.jpg")


class Browser:
    """Follows links of one route over real HTTP."""

    def __init__(self, session: aiohttp.ClientSession, links: MediaLinks, store: MemoryStore, clock: FakeClock) -> None:
        self.session, self.links, self.store, self.clock = session, links, store, clock
        self.with_task = {REF}

    async def find(self, dataset: str, ref: ObjectRef) -> ObjectStore | None:
        return self.store if dataset == "fruits" and ref in self.with_task else None

    @asynccontextmanager
    async def get(self, url: str, **how: object) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self.session.get(url, **how) as response:  # type: ignore[arg-type]
            yield response


Served = Callable[..., "AsyncIterator[Browser]"]


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[Browser]:
    clock = FakeClock()
    store = MemoryStore("s3://photos", clock)
    store.put(REF.key, BODY)
    app = web.Application()
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession() as session:
        browser = Browser(session, MediaLinks("", b"k" * 32), store, clock)
        MediaRoute(browser.links, browser.find, clock, **options).add_to(app.router)  # type: ignore[arg-type]
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        browser.links = MediaLinks(f"http://127.0.0.1:{runner.addresses[0][1]}", b"k" * 32)
        try:
            yield browser
        finally:
            await runner.cleanup()


async def test_the_link_of_a_task_leads_to_the_objects_bytes() -> None:
    async with serving() as browser, browser.get(browser.links.link("fruits", REF)) as response:
        assert response.status == 200
        assert await response.read() == BODY
        assert response.headers["Content-Type"] == "image/jpeg"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response.headers["Content-Security-Policy"]
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Content-Disposition"] == "inline; filename*=UTF-8''%C3%A4%201.jpg"


@pytest.mark.parametrize("name", ["{group}.jpg", "}{", "100%.jpg", "?#&;.jpg", "", ".", "..", "new\nline", "😀"])
async def test_any_name_of_an_object_is_one_a_link_may_end_with(name: str) -> None:
    async with serving() as browser:
        ref = ObjectRef(REF.bucket, f"cats/{name}")
        browser.store.put(ref.key, BODY)
        browser.with_task.add(ref)
        async with browser.get(browser.links.link("fruits", ref)) as response:
            assert (response.status, await response.read()) == (200, BODY)


async def test_a_browser_that_goes_away_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as browser:
        left, ended = asyncio.Event(), asyncio.Event()

        async def stream(_: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            try:
                yield BODY[:100]
                await left.wait()
                for at in range(100, len(BODY)):
                    await asyncio.sleep(0)  # the server has to notice
                    yield BODY[at : at + 1]
            finally:
                ended.set()

        monkeypatch.setattr(browser.store, "stream", stream)
        async with browser.get(browser.links.link("fruits", REF)) as response:
            assert await response.content.readany() == BODY[:100]
            response.close()
        left.set()
        async with asyncio.timeout(5):
            await ended.wait()
    assert not caplog.records


async def test_what_it_leads_to_is_short_lived() -> None:
    async with serving(lifetime=300) as browser:
        link = browser.links.link("fruits", REF)
        async with browser.get(link, allow_redirects=False) as response:
            assert response.status == 302
            timed = urljoin(link, response.headers["Location"])
        async with browser.get(timed) as response:
            assert response.status == 200
        browser.clock.advance(301)
        async with browser.get(timed) as response:
            assert response.status == 403
            assert await response.read() != BODY
        async with browser.get(browser.links.link("fruits", REF)) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("asked", "status", "told", "body"),
    [
        ("bytes=0-9", 206, "bytes 0-9/1024", BODY[:10]),
        ("bytes=1000-", 206, "bytes 1000-1023/1024", BODY[1000:]),
        ("bytes=-24", 206, "bytes 1000-1023/1024", BODY[-24:]),
        ("bytes=1000-9999", 206, "bytes 1000-1023/1024", BODY[1000:]),
        ("bytes=0-", 200, None, BODY),
        ("bytes=1024-", 416, "bytes */1024", b""),
        ("bytes=0-1,5-6", 200, None, BODY),
        ("bytes=9-2", 200, None, BODY),
        ("pages=1", 200, None, BODY),
    ],
)
async def test_parts_are_served_as_players_ask_for_them(asked: str, status: int, told: str | None, body: bytes) -> None:
    async with serving() as browser:
        link = browser.links.link("fruits", REF)
        async with browser.get(link, headers={"Range": asked}) as response:
            assert (response.status, response.headers.get("Content-Range")) == (status, told)
            assert await response.read() == body


async def test_a_browser_that_has_it_is_sent_nothing_and_a_part_of_another_version_is_the_whole() -> None:
    async with serving() as browser:
        link = browser.links.link("fruits", REF)
        async with browser.get(link) as response:
            etag = response.headers["ETag"]
        async with browser.get(link, headers={"If-None-Match": etag}) as response:
            assert (response.status, await response.read()) == (304, b"")
        changed = {"Range": "bytes=0-9", "If-Range": '"another"'}
        async with browser.get(link, headers=changed) as response:
            assert (response.status, await response.read()) == (200, BODY)


async def test_head_tells_all_but_the_bytes() -> None:
    async with serving() as browser:
        link = browser.links.link("fruits", REF)
        async with browser.session.head(link, allow_redirects=True) as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "1024")
            assert await response.read() == b""


async def test_an_object_without_a_task_is_not_served() -> None:
    async with serving() as browser:
        browser.store.put("secret.txt", HUSH.encode())
        for dataset, ref in [("fruits", ObjectRef("s3://photos", "secret.txt")), ("pets", REF)]:
            async with browser.get(browser.links.link(dataset, ref)) as response:
                assert response.status == 404
                assert HUSH not in await response.text()
        browser.with_task.clear()
        async with browser.get(browser.links.link("fruits", REF)) as response:
            assert response.status == 404


async def test_a_link_nobody_made_is_not_served() -> None:
    async with serving() as browser:
        forged = MediaLinks(browser.links.base, b"x" * 32).link("fruits", REF)
        for url in (forged, browser.links.base + "/media/fruits/AAAA/x", browser.links.base + "/media/fruits/"):
            async with browser.get(url) as response:
                assert response.status == 404


async def test_an_object_that_is_gone_is_404_and_a_bucket_that_is_down_503(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as browser:
        link = browser.links.link("fruits", REF)
        browser.store.delete(REF.key)
        async with browser.get(link) as response:
            assert response.status == 404

        async def down(_: str) -> None:
            raise Retryable("the bucket is down")

        monkeypatch.setattr(browser.store, "head", down)
        async with browser.get(link) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert "bucket" not in await response.text()


@pytest.mark.parametrize("trouble", [Retryable("the bucket is down"), Rejected("gone"), None])
async def test_bytes_that_stop_coming_break_the_answer_off(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    """An object may be replaced by a shorter one meanwhile: never does another answer pass for the rest of its bytes"""

    async def stream(_: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        yield BODY[start : start + 100]
        if trouble:
            raise trouble

    async with serving() as browser:
        monkeypatch.setattr(browser.store, "stream", stream)
        async with asyncio.timeout(5), browser.get(browser.links.link("fruits", REF)) as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_the_redirect_is_right_below_any_path_of_a_proxy() -> None:
    async with serving() as browser:
        link = browser.links.link("fruits", REF)
        async with browser.get(link, allow_redirects=False) as response:
            before_proxy = link.replace("/media/", "/tools/syncd/media/")
            led_to = urljoin(before_proxy, response.headers["Location"])
        assert led_to.startswith(before_proxy + "?until=")


async def test_an_empty_object_is_served() -> None:
    async with serving() as browser:
        browser.store.put(REF.key, b"")
        async with browser.get(browser.links.link("fruits", REF), headers={"Range": "bytes=0-"}) as response:
            assert (response.status, await response.read()) == (200, b"")


async def test_a_presigned_url_of_the_bucket_is_used_where_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sign(key: str, *, expires: float) -> str:
        return f"https://bucket.example/{len(key)}?expires={expires:g}"

    for presign, wanted in ((True, "https://bucket.example/12?expires=60"), (False, "?until=")):
        async with serving(presign=presign, lifetime=60) as browser:
            monkeypatch.setattr(browser.store, "sign", sign)
            async with browser.get(browser.links.link("fruits", REF), allow_redirects=False) as response:
                assert response.status == 302
                assert response.headers["Location"].startswith(wanted)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a.png", "image/png"),
        ("a.PNG", "image/png"),
        ("a.mp4", "video/mp4"),
        ("a.wav", "audio/x-wav"),
        ("a.pdf", "application/pdf"),
        ("a.html", "text/plain; charset=utf-8"),
        ("a.js", "text/plain; charset=utf-8"),
        ("a.json", "text/plain; charset=utf-8"),
        ("a.svgz", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.exe", "application/octet-stream"),
        ("folder.html/a", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_types_are_those_of_media_and_nothing_that_runs(key: str, kind: str) -> None:
    assert content_type(key) == kind
