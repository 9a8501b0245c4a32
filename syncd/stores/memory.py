"""The reference object store: a dict. For tests, and for whoever writes another store."""

from collections.abc import AsyncIterator, Sequence
from itertools import count

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.ports import Clock, Seen

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

    async def get(self, key: str, *, limit: int) -> bytes:
        """As the port says."""
        if key not in self._objects:
            raise Rejected(f"{key!r} is gone from {self.bucket}")
        data, _ = self._objects[key]
        if len(data) > limit:
            raise Rejected(f"{key!r} has {len(data)} bytes, more than the {limit} allowed")
        return data

    def _observe(self, key: str) -> Observation:
        now = self._clock.now()
        if key not in self._objects:
            return Observation(now, gone=True)
        data, etag = self._objects[key]
        return Observation(now, etag=etag, size=len(data))
