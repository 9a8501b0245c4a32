"""The reference object store: a dict. For tests, and for whoever writes another store."""

from collections.abc import AsyncIterator, Sequence
from itertools import count

from syncd.domain.errors import TooLarge
from syncd.domain.model import ObjectRef, Observation, Versioned
from syncd.ports import Clock, Seen
from syncd.stores.versions import gone, require_version

PAGE = 1_000


class MemoryStore:
    """A bucket in memory. `put` and `delete` return what an event of theirs would tell."""

    def __init__(self, bucket: str, clock: Clock) -> None:
        self.bucket = bucket
        self._clock = clock
        self._objects: dict[str, tuple[bytes, str]] = {}
        self._serial = count(1)

    def put(self, key: str, data: bytes) -> Seen:
        """Write an object; each write has an etag of its own."""
        self._objects[key] = (data, f"{next(self._serial):x}")
        return ObjectRef(self.bucket, key), self._observe(key)

    def delete(self, key: str) -> Seen:
        """Take an object away; one that is not there is fine."""
        self._objects.pop(key, None)
        return ObjectRef(self.bucket, key), self._observe(key)

    async def head(self, key: str) -> Observation:
        """As the port says."""
        return self._observe(key)

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """As the port says."""
        behind = after.encode()
        keys = [key for key in sorted(self._objects, key=str.encode) if key.encode() > behind]
        for start in range(0, len(keys), PAGE):
            page = [key for key in keys[start : start + PAGE] if key in self._objects]
            if page:
                yield [(ObjectRef(self.bucket, key), self._observe(key)) for key in page]

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """As the port says."""
        data = self._data(key, of)
        require_version(key, self._observe(key), of)
        if len(data) > limit and not cut:
            raise TooLarge(f"{key!r} has {len(data)} bytes, more than the {limit} allowed")
        return data[:limit]

    async def write(self, key: str, data: bytes) -> str | None:
        """As the port says."""
        _, seen = self.put(key, data)
        return seen.etag

    async def remove(self, key: str) -> None:
        """As the port says."""
        self.delete(key)

    async def sign(self, key: str, *, expires: float) -> str | None:
        """None: memory has no URLs."""

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As the port says, in one piece."""
        if data := self._data(key)[start:end]:
            yield data

    async def close(self) -> None:
        """Nothing is held."""

    def _data(self, key: str, of: Versioned | None = None) -> bytes:
        if key not in self._objects:
            raise gone(key, self.bucket, of)
        return self._objects[key][0]

    def _observe(self, key: str) -> Observation:
        now = self._clock.now()
        if key not in self._objects:
            return Observation(now, gone=True)
        data, etag = self._objects[key]
        return Observation(now, etag=etag, size=len(data))
