"""A bucket of a cloud: S3 and whatever speaks its language, Google Cloud Storage, Azure.

Made by `service` from `[buckets.NAME]`. Objects are read by obstore where its paths keep a key byte for byte
(`transfer`), else by our own signed requests (`wire`); so are all listings, and the few writes of probes. Trouble is
repeated here for seconds, which is the only retry at this edge. Limits: keys are text; one listing holds one page, or,
where the server's order is not that of the keys' bytes, what `sorting` says.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from itertools import pairwise
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from syncd.clouds.aws import AwsAccess
from syncd.domain.errors import ConfigError, Conflict, Rejected, Retryable, TooLarge
from syncd.domain.model import Observation, Versioned
from syncd.ports import Clock, Entry, Listed, Seen
from syncd.stores.access import Access, Doors
from syncd.stores.answers import Absent, Denied, Objects, Unclear
from syncd.stores.sorting import in_key_order
from syncd.stores.transfer import is_plain
from syncd.stores.versions import gone, require_version

log = structlog.get_logger()

ALIVE_S = 30.0
"""How long an answer shows that the bucket is there: a HEAD of an object says the same when its bucket is gone."""
_RIGHTS = {
    "s3": {
        "look": "s3:GetObject and s3:ListBucket (without it an object that is not there looks forbidden)",
        "list": "s3:ListBucket",
        "read": "s3:GetObject (and kms:Decrypt where it is encrypted by KMS)",
        "write": "s3:PutObject",
        "remove": "s3:DeleteObject",
    },
    "gs": {
        "look": "storage.objects.get",
        "list": "storage.objects.list",
        "read": "storage.objects.get",
        "write": "storage.objects.create and storage.objects.delete",
        "remove": "storage.objects.delete",
    },
    "az": dict.fromkeys(("look", "list", "read"), "the role Storage Blob Data Reader")
    | dict.fromkeys(("write", "remove"), "the role Storage Blob Data Contributor"),
}
_UNSORTED = ("SeaweedFS", "Azurite")
"""Servers whose listings are not in the order of the keys' bytes: folder by folder; by UTF-16."""
_STOP, _WAIT = stop_after_attempt(3), wait_random_exponential(multiplier=0.1, max=2)
T = TypeVar("T")


class Cloud:
    """Implements `ports.ObjectStore`. `options` by their object_store names, read again as `access` says.

    `field`: where the bucket stands in the configuration.
    """

    def __init__(
        self,
        url: str,
        options: Callable[[], Mapping[str, str]],
        clock: Clock,
        aws: AwsAccess | None = None,
        *,
        field: str = "bucket",
    ) -> None:
        self.bucket = url
        self._clock = clock
        self._field = field
        self._access = Access(url, options, clock, aws or AwsAccess(), field)
        self._rights = _RIGHTS[url.partition(":")[0]]
        self._unsorted = False
        self._alive_at = -ALIVE_S

    async def head(self, key: str) -> Observation:
        """As the port says. Retryable also when the bucket is gone, or may not be looked at."""
        if not _can_be(key):
            return Observation(self._clock.now(), gone=True)
        try:
            facts = await self._try("look", lambda doors: _by(doors, key).head(key))
        except Absent:
            await self._check_alive()
            return Observation(self._clock.now(), gone=True)
        return Observation(self._clock.now(), etag=facts.etag, version_id=facts.version_id, size=facts.size)

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """As the port says, in pages of up to 1,000.

        A server that lists in another order is found out at its first key out of order (Retryable); from then on
        its listings are sorted here. Of some servers it is known.
        """
        last = ""
        async with aclosing(self._entries(after)) as pages:
            async for entries in pages:
                keys = [entry[0] for entry in entries]
                self._check_order(last, keys)
                start = bisect_right(keys, after) if after else 0
                if start < len(keys):
                    now, last = self._clock.now(), keys[-1]
                    yield Listed(self.bucket, now, entries[start:] if start else entries)

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """As the port says: an answer names the version whose bytes it brings."""

        async def got(doors: Doors) -> bytes:
            data, end = bytearray(), limit if cut and limit else None
            opened = _by(doors, key).stream(key, 0, end, lambda facts: require_version(key, facts, of))
            async with aclosing(opened) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    data += piece
                    if len(data) > limit and not cut:
                        raise TooLarge(f"{key!r} is larger than the {limit} bytes allowed")
            return bytes(data[:limit])

        try:
            return await self._try("read", got)
        except Absent:
            raise await self._gone(key, of) from None

    async def write(self, key: str, data: bytes) -> str | None:
        """As the port says."""
        try:
            return await self._try("write", lambda doors: doors.wire.put(key, data))
        except Absent:
            raise Retryable(f"there is no bucket {self.bucket}") from None

    async def remove(self, key: str) -> None:
        """As the port says."""
        await self._try("remove", lambda doors: doors.wire.delete(key))

    async def sign(self, key: str, *, expires: float) -> str | None:
        """As the port says; no request is made but for a keyless credential."""
        return await self._try("read", lambda doors: doors.wire.dialect.presigned(key, expires))

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As the port says. A break in the middle is the caller's to mend; credentials are looked at before it."""
        at = start
        if end is not None and end <= start:
            return
        for attempt in (1, 2):
            doors = await self._access.doors()
            try:
                async with aclosing(_by(doors, key).stream(key, at, end)) as pieces:  # type: ignore[type-var]
                    async for piece in pieces:
                        at += len(piece)
                        yield piece
            except Absent:
                raise await self._gone(key) from None
            except Denied as error:
                if attempt == 2:
                    raise self._denied("read", error) from None
                await self._access.refresh(doors)
            else:
                return

    async def close(self) -> None:
        """As the port says."""
        await self._access.close()

    # ------------------------------------------------------------ listing

    async def _entries(self, after: str) -> AsyncGenerator[Sequence[Entry]]:
        """Pages as the server brings them, or sorted where its order is known to be another."""
        doors = await self._access.doors()
        from_start = self._unsorted or not doors.wire.dialect.resumes
        first, headers = await self._page("" if from_start else after, "")
        if not self._unsorted and headers.get("Server", "").startswith(_UNSORTED):
            self._unsorted = True
            first, _ = await self._page("", "")
        pages = self._pages(after, *first)
        async with aclosing(in_key_order(pages) if self._unsorted else pages) as chosen:
            async for page in chosen:
                yield page

    async def _pages(self, after: str, entries: Sequence[Entry], token: str) -> AsyncGenerator[Sequence[Entry]]:
        while True:
            yield entries
            if not token:
                return
            (entries, token), _ = await self._page(after, token)

    async def _page(self, after: str, token: str) -> tuple[tuple[Sequence[Entry], str], Mapping[str, str]]:
        try:
            page, headers = await self._try("list", lambda doors: doors.wire.page(after, token))
        except Absent:
            raise Retryable(f"there is no bucket {self.bucket}: make it, or mend its url") from None
        return (page.entries, page.more), headers

    def _check_order(self, last: str, keys: Sequence[str]) -> None:
        """That the page is in order, and behind the one before; from now on the listing is sorted where it is not.

        Text sorts by code point, which is the order of its UTF-8 bytes.
        """
        if (not keys or last <= keys[0]) and keys == sorted(keys):
            return
        one, other = next((a, b) for a, b in pairwise([last, *keys]) if a > b)
        self._unsorted = True
        log.warning("bucket.listing_unsorted", bucket=self.bucket, key=other, behind=one)
        raise Retryable(
            f"{self.bucket} lists {other!r} behind {one!r}, which is not the order of the keys' "
            "bytes; the next listing is sorted here"
        )

    # ------------------------------------------------------------ asking

    async def _try(self, doing: str, call: Callable[[Doors], Awaitable[T]]) -> T:
        """What is asked, again for seconds while there is trouble, and once more with fresh credentials."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Retryable), stop=_STOP, wait=_WAIT, sleep=self._clock.sleep, reraise=True
        )
        try:
            found: T = await retrying(self._once, call)
        except Denied as error:
            raise self._denied(doing, error) from None
        self._alive_at = self._clock.now()
        return found

    async def _once(self, call: Callable[[Doors], Awaitable[T]]) -> T:
        doors = await self._access.doors()
        with self._placed():
            try:
                return await call(doors)
            except (Denied, Unclear):
                pass
        await self._access.refresh(doors)
        doors = await self._access.doors()
        with self._placed():
            return await call(doors)

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """A ConfigError of a dialect names its fields as the configuration does."""
        try:
            yield
        except ConfigError as error:
            raise error.below(self._field) from None

    def _denied(self, doing: str, error: Denied) -> Retryable | Rejected:
        """A right may be granted, and a secret rotated, at any time; but what may not be written is not tried again."""
        code = f" ({error})" if str(error) else ""
        said = f"{self.bucket} refuses syncd{code}: grant {self._rights[doing]}, or mend its credentials"
        return Rejected(said) if doing in {"write", "remove"} else Retryable(said, effect_possible=False)

    async def _gone(self, key: str, of: Versioned | None = None) -> Conflict | Rejected:
        await self._check_alive()
        return gone(key, self.bucket, of)

    async def _check_alive(self) -> None:
        """Retryable when the bucket itself is gone."""
        if self._clock.now() >= self._alive_at + ALIVE_S:
            await self._page("", "")


def _by(doors: Doors, key: str) -> Objects:
    return doors.transfer if is_plain(key) else doors.wire


def _can_be(key: str) -> bool:
    """Whether any store could hold it: text of 1 to 1,024 bytes of UTF-8 without NUL."""
    return 0 < len(key.encode(errors="replace")) <= 1_024 and "\0" not in key
