"""A real HTTP receiver of webhooks on a port of its own, which answers as it is told. For tests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Receiver:
    """What came: bodies and headers. `answers`: status, headers and text of the next answers; then 204.

    `echoes`: it answers 400 with the headers it got.
    """

    url: str = ""
    answers: list[tuple[int, Mapping[str, str], str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    echoes: bool = False

    async def take(self, request: web.Request) -> web.Response:
        """One event."""
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        if self.echoes:
            return web.Response(
                status=400, text=" ".join(f"{n}={v}" for n, v in sorted(request.headers.items(), reverse=True))
            )
        status, headers, text = self.answers.pop(0) if self.answers else (204, {}, "")
        return web.Response(status=status, headers=headers, text=text or None)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver, until the context ends."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    receiver.url = f"http://127.0.0.1:{port}/hooks/fruits?token=in-the-url"
    try:
        yield receiver
    finally:
        await runner.cleanup()
