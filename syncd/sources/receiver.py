"""The HTTP receiver: turns pushed events into marks, and shows health and metrics.

`service` builds it with one `Inbox` per webhook route and one `Push` per source that is pushed to. The order is
fixed: authenticate, read within limits (a push source after, for it may sign the body), parse, make durable, and only
then 2xx. What may be our own fault is 503 with Retry-After, because some senders drop an event for good on a 4xx.
Bodies are never logged: Label Studio's hold project secrets.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.ports import WEBHOOK_SECRET_HEADER, Pushed, Reply
from syncd.sources.openapi import openapi_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

RETRY_AFTER_S = 5
_LEAVE_S = 5.0
"""So long may requests that are under way hold up the end: somebody who reads slowly would do so for a minute."""
_SMALL = 64 * 1024
"""Bytes of each body that are always room for: notifications are small, and whoever fills the room with large bodies
before anybody knows who he is keeps none of them away."""
_DECODED = {"", "identity", "gzip", "deflate"}
"""Content encodings aiohttp undoes by itself, one at a time, within the limit of the body."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _NoInput(logging.Filter):
    """Keeps what is no HTTP out of the log: aiohttp would write where it broke, which may be in a token."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_server_log = logging.getLogger(__name__)
_server_log.addFilter(_NoInput())


@dataclass(frozen=True, slots=True)
class Limits:
    """What senders may take: body in bytes, header and body time in seconds.

    `bodies`: so many bodies of full size may be held at once, by all senders together.
    """

    body: int = 16 * 1024 * 1024
    bodies: int = 16
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
class Push:
    """One route of a push source: the methods it answers, and what takes a request, as `ports.PushSource` says."""

    methods: frozenset[str]
    receive: Callable[[Pushed], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Probes:
    """What the health routes ask: `ready` returns why not, or an empty text; `metrics` renders the page.

    `notes`: what works but not as it should, one line each, of which anybody may know.
    """

    ready: Callable[[], Awaitable[str]]
    metrics: Callable[[], tuple[bytes, str]]
    count: Callable[[str, int], None]
    """Called with the route's name and the status of every answer."""
    notes: Callable[[], Iterable[str]] = tuple


class Receiver:
    """The web application. `inboxes` maps a path such as `/webhooks/label-studio/fruits` to its inbox, `pushes`
    one such as `/events/photos` to its source.

    The mappings are read at each request, so routes may come and go while it runs.
    """

    def __init__(
        self, inboxes: Mapping[str, Inbox], probes: Probes, limits: Limits, pushes: Mapping[str, Push] | None = None
    ) -> None:
        self._inboxes = inboxes
        self._pushes = {} if pushes is None else pushes
        self._probes = probes
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def listen(self, host: str, port: int, *others: Callable[[web.UrlDispatcher], None]) -> "AsyncIterator[int]":
        """Serve until the context ends; yields the port (that the system chose, for port 0). `others` add their routes.

        Raises OSError when the address cannot be bound.
        """
        app = web.Application(client_max_size=self._limits.body, middlewares=[self._shield])
        app.router.add_post("/webhooks/{tail:.+}", self._webhook, name="webhook")
        app.router.add_route("*", "/events/{tail:.+}", self._event, name="events")
        app.router.add_get("/openapi.json", _openapi, name="openapi")
        for add_routes in others:
            add_routes(app.router)
        app.router.add_get("/livez", _live, name="livez")
        app.router.add_get("/readyz", self._ready, name="readyz")
        app.router.add_get("/metrics", self._metrics, name="metrics")
        # aiohttp has no limit for a header of its own; its keep-alive timer runs from the connection on, and also
        # while a header trickles in. Senders keep few connections: an idle one is worth no more than a slow header.
        patience = self._limits.header_timeout
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=patience,
            lingering_time=patience,
            shutdown_timeout=_LEAVE_S,
            logger=_server_log,
        )
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
        try:
            async with self._body(request) as body:
                await inbox.accept(body)
        except Rejected as error:
            return web.Response(status=400, text=str(error))
        except Retryable as error:
            return _postponed(request, error)
        return web.Response(status=204)

    async def _event(self, request: web.Request) -> web.Response:
        push = self._pushes.get(request.path)
        if push is None:
            return web.Response(status=404, text="No source listens here.")
        if request.method not in push.methods:
            raise web.HTTPMethodNotAllowed(request.method, push.methods)
        try:
            async with self._body(request) as body:
                reply = await push.receive(Pushed(request.method, _headers(request), dict(request.query), body))
        except Rejected as error:
            return web.Response(status=400, text=str(error))
        except SyncdError as error:  # a secret that cannot be read is no fault of the sender
            return _postponed(request, error)
        return web.Response(status=reply.status, body=reply.body or None, headers=reply.headers)

    @asynccontextmanager
    async def _body(self, request: web.Request) -> "AsyncIterator[bytes]":
        """The body, decoded; it takes room until the context ends.

        As an answer where it does not come, or not within the limits. Retryable: there is no room now.
        """
        body = bytearray()
        try:
            await self._read(request, body)
            yield bytes(body)
        finally:
            self._held -= max(0, len(body) - _SMALL)

    async def _read(self, request: web.Request, body: bytearray) -> None:
        if ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, [])).strip().lower() not in _DECODED:
            raise web.HTTPUnsupportedMediaType
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                async for piece in request.content.iter_any():
                    self._take(body, piece)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (HttpProcessingError, web.RequestPayloadError) as error:  # bad chunks, a broken gzip, cut off
            raise web.HTTPBadRequest from error

    def _take(self, body: bytearray, piece: bytes) -> None:
        before = max(0, len(body) - _SMALL)
        body += piece
        self._held += max(0, len(body) - _SMALL) - before
        if len(body) > self._limits.body:
            raise web.HTTPRequestEntityTooLarge(self._limits.body, len(body))
        if self._held > self._limits.bodies * self._limits.body:
            raise Retryable("all that senders may hold of our memory is held by bodies that are being read")

    async def _ready(self, _: web.Request) -> web.Response:
        reason = await self._probes.ready()
        return web.Response(status=503 if reason else 200, text=reason or "\n".join(["ready", *self._probes.notes()]))

    async def _metrics(self, _: web.Request) -> web.Response:
        page, content_type = self._probes.metrics()
        return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type})


async def _openapi(_: web.Request) -> web.Response:
    return web.Response(body=openapi_page(), content_type="application/json")


async def _live(_: web.Request) -> web.Response:
    return web.Response(text="alive")


def _allowed(refused: web.HTTPException) -> dict[str, str]:
    return {hdrs.ALLOW: refused.headers[hdrs.ALLOW]} if hdrs.ALLOW in refused.headers else {}


def _postponed(request: web.Request, error: SyncdError) -> web.Response:
    """Our own trouble: the sender is to come back. It is told no more than that."""
    log.warning("webhook.postponed", path=request.path, error=str(error))
    wish = error.retry_after if isinstance(error, Retryable) else None
    after = str(max(1, int(wish or RETRY_AFTER_S)))
    return web.Response(status=503, headers={hdrs.RETRY_AFTER: after}, text="Not stored; send it again.")


def _headers(request: web.Request) -> dict[str, str]:
    """By lower-case names; of a name that came twice, a comma between."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _authentic(request: web.Request, secret: str) -> bool:
    """One header, compared in constant time, on bytes so that nothing a sender writes can raise."""
    shown = request.headers.getall(WEBHOOK_SECRET_HEADER, [])
    return len(shown) == 1 and hmac.compare_digest(shown[0].encode("utf-8", "surrogateescape"), secret.encode())
