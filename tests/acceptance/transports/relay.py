"""Stands between a server that pushes its events and syncd: takes them all, and passes them on when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

_AT_ONCE = 8
_NOT_OURS = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """What was pushed."""

    headers: Mapping[str, str]
    body: bytes


class Relay:
    """The requests that came, in their order."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.url = ""

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["Relay"]:
        """On 127.0.0.1 until the context ends."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.method == "POST":
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_OURS}
            self.requests.append(Request(headers, body))
        return web.Response()

    async def pass_on(self, requests: Sequence[Request], port: int) -> None:
        """To syncd's receiver; every one has to be taken."""
        slots = asyncio.Semaphore(_AT_ONCE)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def one(request: Request) -> None:
                async with slots, session.post("/events/photos", data=request.body, headers=request.headers) as answer:
                    assert answer.status < 300, (answer.status, await answer.text())

            await asyncio.gather(*map(one, requests))
