"""A local folder as a bucket: its regular files are the objects, their relative paths the keys.

Made by `stores.open_store`; used by the folder source, the ingest flow and reconcile. All disk work runs in
threads. An etag is made of modification time and size, so a rewrite of the same size within one tick of the
file system's clock is not seen. What a folder's tree may hold, and what is refused, is told in `stores.tree`.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from syncd.domain.errors import Retryable
from syncd.domain.etags import file_etag
from syncd.domain.model import ObjectRef, Observation, Versioned
from syncd.domain.routing import bucket_url
from syncd.ports import Seen
from syncd.stores.tree import Tree
from syncd.stores.versions import gone, require_version

PAGE = 1_000
TOGETHER = 100
"""Heads done in one call of a thread: the call costs five times what the look does."""


@dataclass
class _Turn:
    """Heads asked for in one turn of the event loop, and what will have been seen."""

    keys: list[str] = field(default_factory=list)
    looks: "asyncio.Future[dict[str, Observation | Retryable]] | None" = None


class FolderStore:
    """One folder. A file modified less than `settle` seconds ago is seen as not settled yet.

    `hidden`: whether names starting with a dot are listed; a head or a get sees them in any case, for whether a key is
    wanted is not said here. `now` dates what is seen (pass the clock's), in unix seconds.
    """

    def __init__(
        self, root: Path, *, hidden: bool = False, settle: float = 0.0, now: Callable[[], float] = time.time
    ) -> None:
        self.bucket = bucket_url(str(root))
        self._tree = Tree(root, hidden=hidden)
        self._settle = settle
        self._now = now
        self._turn = _Turn()

    @property
    def skipped(self) -> Counter[str]:
        """By reason, how often something was met that can be no object: links, FIFOs, names that are not UTF-8."""
        return self._tree.skipped

    async def head(self, key: str) -> Observation:
        """As the port says. Retryable also when the folder as a whole cannot be reached."""
        turn = self._turn
        turn.keys.append(key)
        if turn.looks is None:
            turn.looks = asyncio.ensure_future(self._take_turn(turn))
        if len(turn.keys) == TOGETHER:
            self._turn = _Turn()
        looks = await asyncio.shield(turn.looks)
        if isinstance(look := looks[key], Retryable):
            raise look
        return look

    async def looks(self, keys: Collection[str]) -> Mapping[str, Observation | Retryable]:
        """As the port says."""
        return await asyncio.to_thread(self._attempts, tuple(keys))

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """As the port says: up to 1,000 a page. All that lies before a thing that cannot be read is brought first."""
        pages = self._pages(after)
        try:
            while page := await asyncio.to_thread(next, pages, None):
                yield page
        finally:
            with suppress(ValueError):  # cancelled while its thread still works: it closes when that lets go of it
                pages.close()

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """As the port says. Conflict also where the file is written to while it is read."""
        read = await asyncio.to_thread(self._tree.read, key, limit, cut=cut)
        if read is None:
            raise gone(key, self.bucket, of)
        data, before, after = read
        for found in (before, after):
            require_version(key, self._observation(self._now(), found), of)
        return data

    async def write(self, key: str, data: bytes) -> str | None:
        """As the port says; atomic."""
        written = await asyncio.to_thread(self._tree.write, key, data)
        return file_etag(written.st_mtime_ns, written.st_size)

    async def remove(self, key: str) -> None:
        """As the port says."""
        await asyncio.to_thread(self._tree.remove, key)

    async def sign(self, key: str, *, expires: float) -> str | None:
        """None: a folder has no URLs."""

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As the port says; of the file that was there at the first piece, whatever replaces it."""
        pieces = await asyncio.to_thread(self._tree.pieces, key, start, end)
        try:
            while piece := await asyncio.to_thread(next, pieces, b""):
                yield piece
        finally:
            with suppress(ValueError):  # cancelled while its thread still reads: it closes when that lets go of it
                pieces.close()

    async def close(self) -> None:
        """Nothing is held."""

    async def _take_turn(self, turn: "_Turn") -> dict[str, Observation | Retryable]:
        """Starts after everybody has asked who asks in this turn of the loop."""
        if self._turn is turn:
            self._turn = _Turn()
        return await asyncio.to_thread(self._attempts, turn.keys)

    def _attempts(self, keys: Sequence[str]) -> dict[str, Observation | Retryable]:
        return {key: self._attempt(key) for key in keys}

    def _attempt(self, key: str) -> Observation | Retryable:
        try:
            return self._head(key)
        except Retryable as error:
            return error

    def _head(self, key: str) -> Observation:
        now = self._now()
        found = self._tree.stat(key)
        return self._observation(now, found) if found else Observation(now, gone=True)

    def _pages(self, after: str) -> Generator[Sequence[Seen], None, None]:
        found = self._tree.walk(after)
        failure: Retryable | None = None
        while failure is None:
            page, failure = self._page(found)
            if page:
                yield page
            elif failure is None:
                return
        raise failure

    def _page(self, found: Iterator[tuple[str, os.stat_result]]) -> tuple[Sequence[Seen], Retryable | None]:
        """The next page, and what ended the walk behind it: what was found before counts."""
        now, page = self._now(), []
        try:
            for key, status in islice(found, PAGE):
                page.append((ObjectRef(self.bucket, key), self._observation(now, status)))
        except Retryable as error:
            return page, error
        return page, None

    def _observation(self, now: float, found: os.stat_result) -> Observation:
        etag = file_etag(found.st_mtime_ns, found.st_size)
        age = time.time() - found.st_mtime  # by the clock that dates files
        settled = not 0 <= age < self._settle  # a time in the future says nothing
        return Observation(now, etag=etag, size=found.st_size, settled=settled)
