"""Signed HTTP requests of our own: for listings, and for objects whose keys obstore cannot carry.

Why not obstore for these: its paths drop a slash at either end of a key and refuse `//`, `.`, `..` and control
characters, so one such key makes a listing fail, or lie. Keys travel percent-encoded here, byte for byte. A `Dialect`
says how one cloud is spoken to. Nothing is repeated and no redirect followed; answers never reach a message.
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.domain.etags import bare_etag
from syncd.stores.answers import EXPIRED, Absent, Denied, Facts, Page, Unclear

_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
_PIECE = 1 << 18
_ERROR_BODY = 4096
_PAGE_BODY = 64 << 20
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be signed and sent. `url` is complete and encoded."""

    method: str
    url: str
    headers: Headers = field(default_factory=dict)
    body: bytes = b""


class Dialect(Protocol):
    """How one cloud is spoken to."""

    url: str
    """Where the bucket is, without a slash at its end."""
    version_header: str
    """What a HEAD answers the object's version id under."""
    put_headers: Headers
    """What a PUT needs besides."""
    resumes: bool
    """Whether a listing can begin behind a key."""

    def list_request(self, after: str, token: str) -> Request:
        """One page, of 1,000."""
        ...

    def read_page(self, body: bytes) -> Page:
        """What it says. Retryable: it is no such page."""
        ...

    async def signed(self, request: Request) -> Request:
        """The same with our credentials. ConfigError: there are none."""
        ...

    def refused(self) -> None:
        """The credentials were refused: find them anew next time."""
        ...

    async def presigned(self, key: str, expires: float) -> str | None:
        """A URL by which anybody may read the object for `expires` seconds."""
        ...


class Wire:
    """Implements `answers.Objects` over one dialect, and brings its listing. Connections are made when first needed."""

    def __init__(self, dialect: Dialect, client: Mapping[str, str]) -> None:
        self.dialect = dialect
        self._proxy = client.get("proxy_url")
        self._verify = client.get("allow_invalid_certificates", "").lower() not in {"true", "1"}
        self._session: aiohttp.ClientSession | None = None

    async def page(self, after: str, token: str) -> tuple[Page, Headers]:
        """A page, and the headers it came with."""
        async with self._answer(self.dialect.list_request(after, token)) as answer:
            body = await answer.content.read(_PAGE_BODY)
            while piece := await answer.content.read(_PAGE_BODY):
                body += piece
                if len(body) > _PAGE_BODY:
                    raise Retryable(f"a page of the listing of {self.dialect.url} is larger than 64 MB")
            return self.dialect.read_page(body), dict(answer.headers)

    async def head(self, key: str) -> Facts:
        """As the protocol says."""
        async with self._answer(Request("HEAD", self.object_url(key))) as answer:
            return self._facts(answer.headers)

    async def stream(
        self, key: str, start: int, end: int | None, check: Callable[[Facts], None] = lambda _: None
    ) -> AsyncIterator[bytes]:
        """As the protocol says."""
        headers = {"Accept-Encoding": "identity"}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        async with self._answer(Request("GET", self.object_url(key), headers)) as answer:
            if answer.status == 416:
                return
            if "Range" in headers and answer.status == 200:
                raise Retryable(f"{self.dialect.url} ignores ranges")
            check(self._facts(answer.headers))
            async for piece in answer.content.iter_chunked(_PIECE):
                yield piece

    async def put(self, key: str, data: bytes) -> str | None:
        """As the protocol says."""
        async with self._answer(Request("PUT", self.object_url(key), self.dialect.put_headers, data)) as answer:
            return bare_etag(answer.headers.get("ETag", "")) or None

    async def delete(self, key: str) -> None:
        """As the protocol says."""
        try:
            async with self._answer(Request("DELETE", self.object_url(key))):
                pass
        except Absent:
            pass

    async def close(self) -> None:
        """Release the connections. Idempotent."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def object_url(self, key: str) -> str:
        """Where an object is; the key encoded once, its slashes kept."""
        return f"{self.dialect.url}/{quote(key, safe='/-_.~')}"

    def _facts(self, headers: "CIMultiDictProxy[str]") -> Facts:
        version = headers.get(self.dialect.version_header)
        etag = bare_etag(headers.get("ETag", "")) or None
        return Facts(etag, int(headers.get("Content-Length", 0)), version if version != "null" else None)

    @asynccontextmanager
    async def _answer(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        signed = await self.dialect.signed(request)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False, trust_env=True)
        try:
            async with self._session.request(
                signed.method,
                URL(signed.url, encoded=True),
                headers=signed.headers,
                data=io.BytesIO(signed.body) if signed.body else None,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._verify,
            ) as answer:
                if answer.status >= 300 and answer.status != 416:
                    await self._refuse(answer)
                yield answer
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise Retryable(f"{self.dialect.url} cannot be reached ({type(error).__name__})") from None

    async def _refuse(self, answer: aiohttp.ClientResponse) -> None:
        code = _code(await answer.content.read(_ERROR_BODY), answer.headers)
        status = answer.status
        if code in {"NoSuchBucket", "ContainerNotFound"}:
            raise Retryable(f"there is no bucket {self.dialect.url}: make it, or mend [buckets.*] url")
        if status in {404, 410}:
            raise Absent(code)
        if status in {301, 302, 307, 308} or code in {"AuthorizationHeaderMalformed", "IllegalLocationConstraint"}:
            region = answer.headers.get("x-amz-bucket-region", "another region or endpoint")
            raise ConfigError([Problem("storage_options.aws_region", "", f"the bucket is in {region[:40]!r}")])
        if status in {401, 403} or code in EXPIRED:
            if code == "InvalidObjectState":
                raise Rejected("the object is archived; restore it, or leave it out by the source's exclude")
            raise Denied(code)
        if status in {408, 409, 425, 429} or status >= 500:
            raise Retryable(f"{self.dialect.url} is busy or down (HTTP {status} {code})", effect_possible=status != 429)
        refused = Unclear if status == 400 and not code else Rejected
        raise refused(f"{self.dialect.url} refused the request (HTTP {status} {code})")


def _code(body: bytes, headers: Headers) -> str:
    """The server's own word, letters only."""
    found = re.search(rb"<Code>(\w{1,60})</Code>", body) or re.search(rb'"reason": ?"(\w{1,60})"', body)
    return found[1].decode() if found else re.sub(r"\W", "", headers.get("x-ms-error-code", ""))[:60]
