"""Google Cloud Storage on a double: its documented JSON listing and XML objects. No server of Google's was asked."""

import hashlib
from collections.abc import AsyncIterator
from urllib.parse import unquote

import pytest
from aiohttp import web

from syncd.runtime.clock import SystemClock
from syncd.stores.cloud import Cloud

KEYS = sorted(
    [f"many/{number:04d}" for number in range(1_500)] + ["a//b", "dir/", "tab\tx", "ü 日本+%.png"], key=str.encode
)


class Google:
    """The double. Generations grow with every write."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        path = unquote(request.raw_path.partition("?")[0])
        if path == "/storage/v1/b/photos/o":
            return self._list(request)
        key = path.removeprefix("/photos/")
        if request.method == "PUT":
            self.objects[key] = (await request.read(), len(self.objects) + 17)
        if request.method == "DELETE":
            return web.Response(status=204 if self.objects.pop(key, None) else 404)
        if key not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        data, generation = self.objects[key]
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "x-goog-generation": str(generation)}
        headers["Last-Modified"] = "Fri, 20 Nov 2026 12:00:00 GMT"
        return web.Response(body=b"" if request.method == "PUT" else data, headers=headers)

    def _list(self, request: web.Request) -> web.Response:
        start = request.query.get("pageToken") or request.query.get("startOffset", "")
        keys = [key for key in sorted(self.objects, key=str.encode) if key.encode() >= start.encode()]
        items = [{"name": key, "etag": "CJ=", "generation": str(self.objects[key][1]), "size": "1"} for key in keys]
        more = {"nextPageToken": keys[1_000]} if len(keys) > 1_000 else {}
        return web.json_response({"items": items[:1_000], **more})


@pytest.fixture
async def store() -> AsyncIterator[Cloud]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Google().answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    options = {
        "google_base_url": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "google_skip_signature": "true",
        "allow_http": "true",
    }
    store = Cloud("gs://photos", lambda: options, SystemClock())
    yield store
    await store.close()
    await runner.cleanup()


async def test_objects_are_listed_looked_at_and_read_with_their_generation(store: Cloud) -> None:
    for key in KEYS:
        await store.write(key, b"x")
    listed = {ref.key: seen async for page in store.list() for ref, seen in page}
    assert list(listed) == KEYS
    for key in ("a//b", "dir/", "tab\tx", "ü 日本+%.png", "many/0007"):
        seen = await store.head(key)
        assert (seen.version_id, seen.size) == (listed[key].version_id, 1), key
        assert seen.version_id
        assert await store.get(key, limit=1) == b"x"
        await store.remove(key)
        await store.remove(key)
        assert (await store.head(key)).gone


async def test_a_listing_resumes_behind_a_key_and_does_not_bring_it_again(store: Cloud) -> None:
    for key in ("a", "b", "c"):
        await store.write(key, b"x")
    assert [ref.key async for page in store.list(after="b") for ref, _ in page] == ["c"]
    assert [ref.key async for page in store.list(after="bb") for ref, _ in page] == ["c"]


async def test_keyless_it_signs_nothing(store: Cloud) -> None:
    assert await store.sign("a", expires=60) is None
