"""A proxy in front of a real Label Studio that loses, breaks or replaces single answers. For tests of failures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from aiohttp import web

Forward = Callable[[], Awaitable[web.Response]]
Fault = Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]


@dataclass
class Proxy:
    """`url` takes the server's place. A fault is used once, by the next request whose `METHOD path` holds its text."""

    target: str
    url: str = ""
    seen: list[str] = field(default_factory=list)
    """`METHOD path` of every request."""
    tokens: list[str] = field(default_factory=list)
    """The Authorization headers."""
    faults: list[tuple[str, Fault]] = field(default_factory=list)

    def count(self, text: str) -> int:
        """How many requests held the text."""
        return sum(text in request for request in self.seen)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        line = f"{request.method} {request.path}"
        self.seen.append(line)
        self.tokens.append(request.headers.get("Authorization", ""))
        body = await request.read()
        fault = next((fault for fault in self.faults if fault[0] in line), None)
        if fault is None:
            return await self._forward(request, body)
        self.faults.remove(fault)
        return await fault[1](request, lambda: self._forward(request, body))

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        async with httpx.AsyncClient(timeout=60) as http:
            answer = await http.request(
                request.method, self.target + request.path_qs, content=body or None, headers=headers
            )
        return web.Response(
            status=answer.status_code, body=answer.content, headers={"Content-Type": answer.headers["content-type"]}
        )


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


def answering(status: int, text: str = "", **headers: str) -> Fault:
    """Answers itself; the server is not asked. Header names with `_` for `-`."""

    async def fault(request: web.Request, forward: Forward) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return fault


def losing_answer() -> Fault:
    """The server does it, and the connection breaks before its answer."""

    async def fault(request: web.Request, forward: Forward) -> web.StreamResponse:
        answer = await forward()
        assert request.transport
        request.transport.close()
        return answer

    return fault


def keeping_answer(done: asyncio.Event) -> Fault:
    """The server does it, sets the event, and its answer never comes."""

    async def fault(request: web.Request, forward: Forward) -> web.StreamResponse:
        await forward()
        done.set()
        await asyncio.Event().wait()
        raise AssertionError

    return fault


def delaying(seconds: float) -> Fault:
    """The answer comes, but late."""

    async def fault(request: web.Request, forward: Forward) -> web.StreamResponse:
        answer = await forward()
        await asyncio.sleep(seconds)
        return answer

    return fault


def truncating() -> Fault:
    """Half of the answer."""

    async def fault(request: web.Request, forward: Forward) -> web.StreamResponse:
        answer = await forward()
        assert isinstance(answer.body, bytes)
        return web.Response(status=answer.status, body=answer.body[: len(answer.body) // 2])

    return fault
