"""Bodies of requests, read and unpacked within limits of size, time and memory. Used by the receiver.

aiohttp's own unpacking is off: it would refuse what it does not know with 400, and unpack before anybody counts.
Content codings as RFC 9110, 8.4: `gzip` and `deflate`, one of them, once. `deflate` is zlib's format (RFC 1950), or
bare (RFC 1951) as some senders mean it.
"""

import asyncio
import zlib
from collections.abc import Iterator

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from syncd.domain.errors import Retryable

_SMALL = 64 * 1024
"""Bytes of each body that are always room for: notifications are small, and whoever fills the room with large bodies
before anybody knows who he is keeps none of them away."""
_PIECE = 64 * 1024
_MOST_MEMBERS = 1_000
"""A gzip may be several, one after the other; senders make one."""
_GZIP, _ZLIB, _BARE = 31, 15, -15
"""What zlib calls the formats: `wbits`."""


class Bodies:
    """All bodies that are held at once. `limit`: of one, unpacked, bytes; `room`: of all together; `patience`: seconds
    for one to come."""

    def __init__(self, *, limit: int, room: int, patience: float) -> None:
        self._limit = limit
        self._room = room
        self._patience = patience
        self._held = 0

    async def of(self, request: web.Request) -> "Body":
        """The body, unpacked; it takes room until its context ends.

        Raises the answer (400, 408, 413, 415) where it does not come, or not within the limits. Retryable: there is no
        room now.
        """
        body = Body(self)
        try:
            await self._read(request, body)
        except BaseException:
            self.release(body)
            raise
        return body

    async def _read(self, request: web.Request, body: "Body") -> None:
        unpacked = _unpacker(request)
        content = request.content
        try:
            if content.is_eof():  # it came with its header, as most do: timers cost
                self._unpack(unpacked, content.read_nowait(), body)
            else:
                async with asyncio.timeout(self._patience):
                    async for sent in content.iter_any():
                        self._unpack(unpacked, sent, body)
            unpacked.end()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (HttpProcessingError, web.RequestPayloadError, zlib.error) as error:  # bad chunks, broken, cut off
            raise web.HTTPBadRequest from error

    def release(self, body: "Body") -> None:
        """What it took is room again."""
        self._held -= body.beyond_small()

    def _unpack(self, unpacked: "_Plain", sent: bytes, body: "Body") -> None:
        for piece in unpacked.pieces(sent):
            self._take(body, piece)

    def _take(self, body: "Body", piece: bytes) -> None:
        before = body.beyond_small()
        body.add(piece)
        self._held += body.beyond_small() - before
        if body.size > self._limit:
            raise web.HTTPRequestEntityTooLarge(self._limit, body.size)
        if self._held > self._room:
            raise Retryable("all that senders may hold of our memory is held by bodies that are being read")


class Body:
    """One body as it comes; the context of it gives all of it. No generator: every request has one."""

    __slots__ = ("_all", "_came", "size")

    def __init__(self, all_of_them: Bodies) -> None:
        self._all = all_of_them
        self._came: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        """One more piece."""
        self._came.append(piece)
        self.size += len(piece)

    def beyond_small(self) -> int:
        """Bytes of it that there need not be room for."""
        return max(0, self.size - _SMALL)

    def __enter__(self) -> bytes:
        whole = self._came[0] if len(self._came) == 1 else b"".join(self._came)
        self._came.clear()  # it may be large, and is not to be there twice
        return whole

    def __exit__(self, *_: object) -> None:
        self._all.release(self)


class _Plain:
    """A body that is sent as it is."""

    def pieces(self, sent: bytes) -> Iterator[bytes]:
        yield sent

    def end(self) -> None:
        """Any end is one."""


class _Packed(_Plain):
    """A body that was packed; zlib.error where it is no such thing."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._members = 0
        self._unpacker = zlib.decompressobj(wbits)
        self._begun = False

    def pieces(self, sent: bytes) -> Iterator[bytes]:
        more = False
        while sent or more:
            self._begin(sent)
            piece = self._unpacker.decompress(sent, _PIECE)
            if piece:
                yield piece
            more = len(piece) == _PIECE and not self._unpacker.eof  # which zlib may hold back, all input taken
            sent = self._unpacker.unconsumed_tail or self._unpacker.unused_data

    def _begin(self, sent: bytes) -> None:
        """At the beginning of a member: `deflate` is bare where its first byte names no method of zlib's."""
        if self._unpacker.eof:
            self._members += 1
            if self._wbits != _GZIP or self._members >= _MOST_MEMBERS:
                raise zlib.error("more follows than senders pack")
            self._unpacker = zlib.decompressobj(self._wbits)
        elif not self._begun and self._wbits == _ZLIB and sent[0] & 0x0F != zlib.DEFLATED:
            self._unpacker = zlib.decompressobj(_BARE)
        self._begun = True

    def end(self) -> None:
        """It has to be whole; nothing at all is nothing."""
        if self._begun and not self._unpacker.eof:
            raise zlib.error("it is cut off")


_PLAIN = _Plain()


def _unpacker(request: web.Request) -> _Plain:
    if hdrs.CONTENT_ENCODING not in request.headers:
        return _PLAIN
    match ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, [])).strip().lower():
        case "" | "identity":
            return _PLAIN
        case "gzip":
            return _Packed(_GZIP)
        case "deflate":
            return _Packed(_ZLIB)
    raise web.HTTPUnsupportedMediaType
