"""A proxy on loopback in front of an emulator that answers some requests itself. For tests of failures."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web

Fault = Callable[[web.Request], web.Response | None]


@dataclass
class Proxy:
    """`url` takes the server's place. A fault is asked at every request of its operation; None: let it pass."""

    target: str
    url: str = ""
    seen: list[str] = field(default_factory=list)
    """The operation of every request, such as ReceiveMessage."""
    bodies: list[bytes] = field(default_factory=list)
    """And what it said."""
    key_ids: list[str] = field(default_factory=list)
    """And whose key signed it."""
    faults: dict[str, Fault] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.seen.append(operation)
        body = await request.read()
        self.bodies.append(body)
        self.key_ids.append(_key_id(request))
        fault = self.faults.get(operation) or self.faults.get("*")
        answer = fault(request) if fault else None
        return answer or await self._forwarded(request, body)

    async def _forwarded(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with (
            ClientSession(auto_decompress=False) as http,
            http.request(request.method, self.target + request.path_qs, data=body, headers=headers) as answer,
        ):
            kept = {n: v for n, v in answer.headers.items() if n.lower() in {"content-type", "x-amzn-query-error"}}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)


@asynccontextmanager
async def proxying(target: str) -> AsyncIterator[Proxy]:
    """A running proxy."""
    proxy = Proxy(target)
    app = web.Application(client_max_size=2**28)
    app.router.add_route("*", "/{tail:.*}", proxy.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield proxy
    finally:
        await runner.cleanup()


def failure(status: int, code: str, **headers: str) -> web.Response:
    """An error as Amazon's JSON protocol writes it. Header names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "secret words of the server"})
    return web.Response(status=status, text=body, content_type="application/x-amz-json-1.0", headers=named)


def times(count: int, make: Callable[[], web.Response]) -> Fault:
    """Answers so many requests itself, and lets the rest pass."""
    left = count

    def fault(request: web.Request) -> web.Response | None:
        nonlocal left
        left -= 1
        return make() if left >= 0 else None

    return fault


def allowing(key_id: Callable[[], str]) -> Fault:
    """Refuses whoever signs with another key id."""

    def fault(request: web.Request) -> web.Response | None:
        return None if _key_id(request) == key_id() else failure(403, "InvalidClientTokenId")

    return fault


def _key_id(request: web.Request) -> str:
    """Of `AWS4-HMAC-SHA256 Credential=KEY_ID/DATE/REGION/…`."""
    return request.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
