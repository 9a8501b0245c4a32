"""Object data of one bucket, over the `ObjectStore` port. `Stores` is how the service makes them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.routing import folder_path
from syncd.ports import Clock, ObjectStore
from syncd.stores.folder import FolderStore

__all__ = ["Stores"]


class Stores:
    """The stores of one process. `buckets`: those of `[buckets.*]`, by name."""

    def __init__(self, buckets: Mapping[str, ObjectStore], clock: Clock) -> None:
        self._buckets = dict(buckets)
        self._clock = clock

    def bucket(self, name: str) -> ObjectStore:
        """As the port says."""
        if name not in self._buckets:
            known = ", ".join(sorted(self._buckets)) or "none"
            raise ConfigError([Problem("buckets", repr(name), f"must be one of the configured [buckets.*]: {known}")])
        return self._buckets[name]

    def folder(self, url: str, *, hidden: bool = False, settle: float = 0.0) -> ObjectStore:
        """As the port says. ConfigError: another scheme, or another form."""
        if urlsplit(url).scheme != "file":
            raise ConfigError([Problem("bucket", repr(url), "a folder as file:///absolute/path")])
        try:
            path = folder_path(url)
        except ValueError as error:
            raise ConfigError([Problem("bucket", str(error), "a folder as file:///absolute/path")]) from None
        return FolderStore(Path(path), hidden=hidden, settle=settle, now=self._clock.now)

    async def close(self) -> None:
        """Release all connections. Idempotent."""
        await asyncio.gather(*(store.close() for store in self._buckets.values()))
