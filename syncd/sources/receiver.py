"""The HTTP receiver: turns pushed events into marks, and shows health and metrics.

`service` builds it with one `Inbox` per webhook route. The order is fixed: authenticate, read within limits,
parse, make durable, and only then 204. What may be our own fault is 503 with Retry-After, because some senders
drop an event for good on a 4xx. Bodies are never logged: Label Studio's hold project secrets.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from syncd.domain.errors import Rejected, Retryable
from syncd.ports import WEBHOOK_SECRET_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

RETRY_AFTER_S = 5

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sender may take: body in bytes, header and body time in seconds."""

    body: int = 16 * 1024 * 1024
    header_timeout: float = 10.0
    body_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Inbox:
    """One webhook route: the secret its sender must show, and what takes the body.

    `accept` returns once the marks are durable. It raises Rejected for a body that can never become valid
    (400) and Retryable when we cannot store it now (503).
    """

    secret: str
    accept: Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Probes:
    """What the health routes ask: `ready` returns why not, or an empty text; `metrics` renders the page."""

    ready: Callable[[], Awaitable[str]]
    metrics: Callable[[], tuple[bytes, str]]
    count: Callable[[str, int], None]
    """Called with the route's name and the status of every answer."""


class Receiver:
    """The web application. `inboxes` maps a path such as `/webhooks/label-studio/fruits` to its inbox.

    The mapping is read at each request, so routes may come and go while it runs.
    """

    def __init__(self, inboxes: Mapping[str, Inbox], probes: Probes, limits: Limits) -> None:
        self._inboxes = inboxes
        self._probes = probes
        self._limits = limits

    @asynccontextmanager
    async def listen(self, host: str, port: int) -> "AsyncIterator[int]":
        """Serve until the context ends; yields the port (that the system chose, for port 0).

        Raises OSError when the address cannot be bound.
        """
        app = web.Application(client_max_size=self._limits.body, middlewares=[self._shield])
        app.router.add_post("/webhooks/{tail:.+}", self._webhook, name="webhook")
        app.router.add_get("/livez", _live, name="livez")
        app.router.add_get("/readyz", self._ready, name="readyz")
        app.router.add_get("/metrics", self._metrics, name="metrics")
        # aiohttp has no limit for a header of its own; its keep-alive timer runs from the connection on, and also
        # while a header trickles in. Senders keep few connections: an idle one is worth no more than a slow header.
        patience = self._limits.header_timeout
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=patience, lingering_time=patience)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, reuse_address=True)
            await site.start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    @web.middleware
    async def _shield(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count every answer and turn trouble into a plain one: no stack trace, no echo of the input."""
        try:
            response = await handler(request)
        except web.HTTPException as refused:
            # aiohttp would echo the path of an unknown route
            response = web.Response(status=refused.status, text=refused.reason, headers=_allowed(refused))
        route = request.match_info.route.name or "none"
        self._probes.count(route, response.status)
        return response

    async def _webhook(self, request: web.Request) -> web.Response:
        inbox = self._inboxes.get(request.path)
        if inbox is None:
            return web.Response(status=404, text="No dataset listens here.")
        if not _authentic(request, inbox.secret):
            return web.Response(status=401, text=f"The header {WEBHOOK_SECRET_HEADER} is missing or wrong.")
        if request.content_type != "application/json":
            return web.Response(status=415, text="Send application/json.")
        return await self._accept(inbox, await self._read(request))

    async def _read(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                return await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (HttpProcessingError, web.RequestPayloadError) as error:  # bad chunks, a broken gzip, cut off
            raise web.HTTPBadRequest from error

    async def _accept(self, inbox: Inbox, body: bytes) -> web.Response:
        try:
            await inbox.accept(body)
        except Rejected as error:
            return web.Response(status=400, text=str(error))
        except Retryable as error:
            log.warning("webhook.postponed", error=str(error))
            after = str(int(error.retry_after or RETRY_AFTER_S))
            return web.Response(status=503, headers={hdrs.RETRY_AFTER: after}, text="Not stored; send it again.")
        return web.Response(status=204)

    async def _ready(self, _: web.Request) -> web.Response:
        reason = await self._probes.ready()
        return web.Response(status=503 if reason else 200, text=reason or "ready")

    async def _metrics(self, _: web.Request) -> web.Response:
        page, content_type = self._probes.metrics()
        return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type})


async def _live(_: web.Request) -> web.Response:
    return web.Response(text="alive")


def _allowed(refused: web.HTTPException) -> dict[str, str]:
    return {hdrs.ALLOW: refused.headers[hdrs.ALLOW]} if hdrs.ALLOW in refused.headers else {}


def _authentic(request: web.Request, secret: str) -> bool:
    """One header, compared in constant time, on bytes so that nothing a sender writes can raise."""
    shown = request.headers.getall(WEBHOOK_SECRET_HEADER, [])
    return len(shown) == 1 and hmac.compare_digest(shown[0].encode("utf-8", "surrogateescape"), secret.encode())
