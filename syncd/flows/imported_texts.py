"""Texts that came with an import, as the bucket `import://NAME`: kept in the state, read like any other object."""

from collections.abc import AsyncIterator, Sequence

from syncd.domain.errors import Rejected, TooLarge
from syncd.domain.model import ObjectRef, Observation, Versioned, digest
from syncd.ports import Clock, Imports, Seen


class ImportedTexts:
    """Implements `ports.ObjectStore` for one such bucket. Its listing is empty: nothing there ever changes."""

    def __init__(self, imports: Imports, dataset: str, bucket: str, clock: Clock) -> None:
        self.bucket = bucket
        self._imports = imports
        self._dataset = dataset
        self._clock = clock

    async def head(self, key: str) -> Observation:
        """As the port says; the etag is the text's sha256."""
        text = await self._imports.text(self._dataset, ObjectRef(self.bucket, key))
        if text is None:
            return Observation(self._clock.now(), gone=True)
        return Observation(self._clock.now(), etag=digest(text), size=len(text.encode()))

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """Nothing."""
        nothing: tuple[Sequence[Seen], ...] = ()
        for page in nothing:
            yield page

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """As the port says. A text never changes: it is of the version that it came as."""
        data = await self._data(key)
        if len(data) > limit and not cut:
            raise TooLarge(f"{self.bucket}/{key} has {len(data)} bytes, more than the {limit} allowed")
        return data[:limit]

    async def write(self, key: str, data: bytes) -> str | None:
        """Rejected: only an import brings texts."""
        raise Rejected(f"{self.bucket}/{key} cannot be written; use `syncd import`")

    async def remove(self, key: str) -> None:
        """Rejected: imported texts stay."""
        raise Rejected(f"{self.bucket}/{key} cannot be removed: it came with an import")

    async def sign(self, key: str, *, expires: float) -> str | None:
        """None: the state has no URLs."""

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As the port says, in one piece."""
        if data := (await self._data(key))[start:end]:
            yield data

    async def close(self) -> None:
        """Nothing is held."""

    async def _data(self, key: str) -> bytes:
        text = await self._imports.text(self._dataset, ObjectRef(self.bucket, key))
        if text is None:
            raise Rejected(f"{self.bucket}/{key} is not there; import it again")
        return text.encode()
