"""Objects for browsers: links in tasks lead to short-lived ones, and those to the bytes, with ranges.

Mounted by the receiver below `/media`. Nothing but objects that have a task is served, nothing is listed, and what is
served never runs: its type comes from a fixed table by the key's ending, and a sandbox is put around it. Anybody who
has a link may fetch; whether that is right is the configuration's choice (`media = "signed"`).
"""

import mimetypes
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, urlencode

import structlog
from aiohttp import hdrs, web

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.media_links import ROUTE, MediaLinks
from syncd.domain.model import ObjectRef, Observation
from syncd.ports import Clock, ObjectStore

log = structlog.get_logger()

Find = Callable[[str, ObjectRef], Awaitable[ObjectStore | None]]
"""The store of an object that has a task in a dataset, or None."""

_RETRY_AFTER_S = "5"
_HEADERS: dict[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    # canvases of annotation tools read pixels; there are no cookies here that a foreign page could use
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Accept-Ranges, Content-Length, Content-Range, ETag",
    hdrs.ACCEPT_RANGES: "bytes",
}


@dataclass(frozen=True)
class MediaRoute:
    """The handler. `lifetime`: seconds a timed link works; `presign`: whether it may be one of the bucket's own."""

    links: MediaLinks
    find: Find
    clock: Clock
    lifetime: float = 300.0
    presign: bool = False

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the route; HEAD is answered too."""
        # a name may hold braces, which aiohttp's own pattern does not let through
        router.add_get(ROUTE + "/{dataset}/{token}/{name:[^/]*}", self.serve, name="media")

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """404 for whatever is no link of ours or has no task; 403 once a timed link is over; 503 for our trouble."""
        dataset = request.match_info["dataset"]
        ref = self.links.read(dataset, request.match_info["token"])
        try:
            store = await self.find(dataset, ref) if ref else None
            if ref is None or store is None:
                return web.Response(status=404, text="There is no such object.")
            if "until" not in request.query:
                return await self._redirect(request, dataset, ref, store)
            if not self.links.is_timed(dataset, ref, request.query, self.clock.now()):
                return web.Response(status=403, text="This link is over; open the task again.")
            return await _send(request, ref, store)
        except Rejected:
            return web.Response(status=404, text="The object is gone.")
        except Retryable:
            return web.Response(status=503, headers={hdrs.RETRY_AFTER: _RETRY_AFTER_S}, text="Try again.")

    async def _redirect(
        self, request: web.Request, dataset: str, ref: ObjectRef, store: ObjectStore
    ) -> web.StreamResponse:
        url = await store.sign(ref.key, expires=self.lifetime) if self.presign else None
        if url is None:
            until = int(self.clock.now() + self.lifetime)
            # only a query: it is right below whatever path a proxy has put us
            url = "?" + urlencode(self.links.timed(dataset, ref, until))
        headers: dict[str, str] = {**_HEADERS, hdrs.CACHE_CONTROL: f"private, max-age={self.lifetime / 2:.0f}"}
        return web.Response(status=302, headers={**headers, hdrs.LOCATION: url})


async def _send(request: web.Request, ref: ObjectRef, store: ObjectStore) -> web.StreamResponse:
    seen = await store.head(ref.key)
    if seen.gone or seen.size is None:
        raise Rejected("the object is gone")
    etag = f'"{seen.version or seen.size}"'
    headers = {**_HEADERS, **_about(ref.key), hdrs.ETAG: etag, hdrs.CACHE_CONTROL: "private, no-cache"}
    if request.headers.get(hdrs.IF_NONE_MATCH) == etag:
        return web.Response(status=304, headers=headers)
    wanted = _range(request, seen, etag)
    if wanted is None:
        return web.Response(status=416, headers={**headers, hdrs.CONTENT_RANGE: f"bytes */{seen.size}"})
    if len(wanted) < seen.size:
        headers[hdrs.CONTENT_RANGE] = f"bytes {wanted.start}-{wanted.stop - 1}/{seen.size}"
    response = web.StreamResponse(status=206 if hdrs.CONTENT_RANGE in headers else 200, headers=headers)
    response.content_length = len(wanted)
    with suppress(ConnectionResetError):  # a browser that went on to the next task
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD or await _sent(response, ref, store, wanted):
            await response.write_eof()
        elif request.transport:  # the status is out: to break off is the only word for it
            request.transport.abort()
    return response


async def _sent(response: web.StreamResponse, ref: ObjectRef, store: ObjectStore, wanted: range) -> bool:
    """Whether all of it went out. No answer of another kind may follow the first bytes: it would pass for more."""
    left = len(wanted)
    pieces = cast("AsyncGenerator[bytes]", store.stream(ref.key, start=wanted.start, end=wanted.stop))
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                await response.write(piece[:left])
                left -= min(left, len(piece))
    except (Rejected, Retryable) as error:
        log.warning("media.broken_off", key=ref.key, error=str(error), missing=left)
    return not left


def _range(request: web.Request, seen: Observation, etag: str) -> range | None:
    """What is asked for; None where there is no such part. A condition that does not hold asks for the whole."""
    everything = range(seen.size or 0)
    if request.headers.get(hdrs.IF_RANGE, etag) != etag:
        return everything
    try:
        asked = everything[request.http_range]
    except ValueError:  # several ranges, or none that can be read: the whole is always a right answer
        return everything
    return asked or (None if everything else everything)


def content_type(key: str) -> str:
    """The type a browser is told, from the key's ending: media as what they are, all else as bytes or plain text."""
    found, encoding = mimetypes.guess_type(key.rsplit("/", 1)[-1], strict=False)
    if found is None or encoding:
        return "application/octet-stream"
    kind = found.partition("/")[0]
    if kind in {"image", "audio", "video"} or found == "application/pdf":
        return found
    return "text/plain; charset=utf-8" if kind == "text" or found == "application/json" else "application/octet-stream"


def _about(key: str) -> dict[str, str]:
    name = quote(key.rsplit("/", 1)[-1], safe="")
    return {hdrs.CONTENT_TYPE: content_type(key), hdrs.CONTENT_DISPOSITION: f"inline; filename*=UTF-8''{name}"}
