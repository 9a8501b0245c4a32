"""What the views of derived buckets share: nothing can be written there, and nothing signed. Used by `views` only."""

from collections.abc import AsyncIterator

from syncd.domain.errors import Rejected
from syncd.domain.model import Versioned
from syncd.ports import ObjectStore

ALL = 1 << 62


class DerivedView:
    """The part of `ports.ObjectStore` that is the same in every derived bucket."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self.base = store.bucket
        self.bucket = prefix + store.bucket
        self._store = store

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """As the port says."""
        raise NotImplementedError

    async def write(self, key: str, data: bytes) -> str | None:
        """Rejected: what is there comes from the bucket."""
        raise Rejected(f"nothing can be written to {self.bucket}; write to {self.base}")

    async def remove(self, key: str) -> None:
        """Rejected: what is there comes from the bucket."""
        raise Rejected(f"nothing can be removed from {self.bucket}; remove it from {self.base}")

    async def sign(self, key: str, *, expires: float) -> str | None:
        """None: what is no object has no URL."""

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As the port says, in one piece."""
        if data := (await self.get(key, limit=ALL))[start:end]:
            yield data

    async def close(self) -> None:
        """Nothing of its own is held: the bucket's store is closed by who made it."""
