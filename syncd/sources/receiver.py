"""The HTTP receiver: turns pushed events into marks, and shows health and metrics.

`service` builds it with one `Inbox` per webhook route and one `Push` per source that is pushed to. The order is
fixed: authenticate, read within limits (a push source after, for it may sign the body), parse, make durable, and only
then 2xx. What may be our own fault is 503 with Retry-After, because some senders drop an event for good on a 4xx.
Bodies are never logged: Label Studio's hold project secrets.
"""

import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from aiohttp import hdrs, web

from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.ports import WEBHOOK_SECRET_HEADER, Pushed, Reply
from syncd.sources.bodies import Bodies
from syncd.sources.connections import Handler, Runner
from syncd.sources.openapi import openapi_page
from syncd.sources.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

RETRY_AFTER_S = 5
_LEAVE_S = 5.0
"""So long may requests that are under way hold up the end: somebody who reads slowly would do so for a minute."""
_BACKLOG = 4096
"""So many connections may come at one moment, where the kernel grants as many: beyond that all senders wait seconds."""
_LINGER_S = 2.0
"""So long whoever still sends what was refused may do so: time for the answer to arrive before the connection ends."""


ShortWay = Callable[[web.Request], tuple[str, Handler | None]]


async def _as_it_is(_: str, handler: Handler, request: web.Request) -> web.StreamResponse:
    return await handler(request)


@dataclass(frozen=True, slots=True)
class Limits:
    """What senders may take: body in bytes, header and body time in seconds.

    `bodies`: so many bodies of full size may be held at once, by all senders together.
    """

    body: int = 8 * 1024 * 1024
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
    timed: Callable[[str, float], None] = lambda *_: None
    """Called with the route's name and the seconds until every answer."""
    around: Callable[[str, Handler, web.Request], Awaitable[web.StreamResponse]] = _as_it_is
    """What every request of a sender passes through, with its route's name and what answers it."""


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
        self._turns = Turns()
        self._bodies = Bodies(limit=limits.body, room=limits.bodies * limits.body, patience=limits.body_timeout)

    @asynccontextmanager
    async def listen(self, host: str, port: int, *others: Callable[[web.UrlDispatcher], None]) -> "AsyncIterator[int]":
        """Serve until the context ends; yields the port (that the system chose, for port 0). `others` add their routes.

        Metrics are not among them, unless `add_metrics` is. Raises OSError when the address cannot be bound.
        """
        async with self._serving(host, port, self._short_way, self._add_senders, *others, self._add_health) as bound:
            yield bound

    @asynccontextmanager
    async def listen_aside(self, host: str, port: int) -> "AsyncIterator[int]":
        """As `listen`, but health and metrics only: for those who watch, at an address that senders need not reach."""
        async with self._serving(host, port, _no_short_way, self._add_health, self.add_metrics) as bound:
            yield bound

    def _add_senders(self, router: web.UrlDispatcher) -> None:
        around = self._probes.around
        router.add_post("/webhooks/{tail:.+}", partial(around, "webhook", self._webhook), name="webhook")
        router.add_route("*", "/events/{tail:.+}", partial(around, "events", self._event), name="events")
        router.add_get("/openapi.json", _openapi, name="openapi")

    def _add_health(self, router: web.UrlDispatcher) -> None:
        router.add_get("/livez", _live, name="livez")
        router.add_get("/readyz", self._ready, name="readyz")

    def add_metrics(self, router: web.UrlDispatcher) -> None:
        """Add the page for Prometheus."""
        router.add_get("/metrics", self._metrics, name="metrics")

    @asynccontextmanager
    async def _serving(
        self, host: str, port: int, short_way: ShortWay, *routes: Callable[[web.UrlDispatcher], None]
    ) -> "AsyncIterator[int]":
        app = web.Application()
        for add_routes in routes:
            add_routes(app.router)
        # aiohttp has no limit for the time of a header; its keep-alive timer runs from the connection on, and also
        # while a header trickles in. Senders keep few connections: an idle one is worth no more than a slow header.
        patience = self._limits.header_timeout
        runner = Runner(
            app,
            first=partial(self._answer, short_way),
            refused=partial(self._probes.count, "none"),
            access_log=None,
            keepalive_timeout=patience,
            lingering_time=min(patience, _LINGER_S),
            shutdown_timeout=_LEAVE_S,
            auto_decompress=False,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, backlog=_BACKLOG, reuse_address=True)
            await site.start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _answer(self, short_way: ShortWay, application: Handler, request: web.Request) -> web.StreamResponse:
        """Count every answer and turn trouble into a plain one: no stack trace, no echo of the input."""
        started = time.perf_counter()
        route, handler = short_way(request)
        try:
            response = await (self._probes.around(route, handler, request) if handler else application(request))
        except web.HTTPException as refused:
            # aiohttp would echo the path of an unknown route
            response = web.Response(status=refused.status, text=refused.reason, headers=_allowed(refused))
        name = route or request.match_info.route.name or "none"
        self._probes.count(name, response.status)
        self._probes.timed(name, time.perf_counter() - started)
        return response

    def _short_way(self, request: web.Request) -> tuple[str, Handler | None]:
        """The route that events take, past the application's: its name, and what answers. Nothing for all else."""
        if request.method == hdrs.METH_POST and hdrs.EXPECT not in request.headers:
            path = request.rel_url.raw_path  # as it was written: what only comes to be a route is none
            if path in self._pushes:
                return "events", self._event
            if path in self._inboxes:
                return "webhook", self._webhook
        return "", None

    async def _webhook(self, request: web.Request) -> web.Response:
        inbox = self._inboxes.get(request.path)
        if inbox is None:
            return web.Response(status=404, text="No dataset listens here.")
        if not _authentic(request, inbox.secret):
            return web.Response(status=401, text=f"The header {WEBHOOK_SECRET_HEADER} is missing or wrong.")
        if request.content_type != "application/json":
            return web.Response(status=415, text="Send application/json.")
        try:
            with await self._bodies.of(request) as body, await self._turns.of(request.path, len(body)):
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
            with await self._bodies.of(request) as body, await self._turns.of(request.path, len(body)):
                reply = await push.receive(Pushed(request.method, _headers(request), _query(request), body))
        except Rejected as error:
            return web.Response(status=400, text=str(error))
        except SyncdError as error:  # a secret that cannot be read is no fault of the sender
            return _postponed(request, error)
        return web.Response(status=reply.status, body=reply.body or None, headers=reply.headers or None)

    async def _ready(self, _: web.Request) -> web.Response:
        reason = await self._probes.ready()
        return web.Response(status=503 if reason else 200, text=reason or "\n".join(["ready", *self._probes.notes()]))

    async def _metrics(self, _: web.Request) -> web.Response:
        page, content_type = self._probes.metrics()
        return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type})


def _no_short_way(_: web.Request) -> tuple[str, Handler | None]:
    return "", None


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
    headers = {name.lower(): value for name, value in request.headers.items()}
    if len(headers) != len(request.headers):
        headers = {name: ", ".join(request.headers.getall(name)) for name in headers}
    return headers


def _query(request: web.Request) -> dict[str, str]:
    return dict(request.query) if request.query_string else {}


def _authentic(request: web.Request, secret: str) -> bool:
    """One header, compared in constant time, on bytes so that nothing a sender writes can raise."""
    shown = request.headers.getall(WEBHOOK_SECRET_HEADER, [])
    return len(shown) == 1 and hmac.compare_digest(shown[0].encode("utf-8", "surrogateescape"), secret.encode())
