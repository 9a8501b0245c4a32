"""Sorts a listing of any size within bounded memory: sorted runs in one temporary file, merged while they are read.

For servers that list in another order than that of the keys' bytes, and for inventories, whose files are not sorted
among each other. Memory: one run of 100,000 entries (about 30 MB) while it is taken in, then 250 entries a run: for
100,000,000 objects, 1,000 runs, about 80 MB, and 15 GB on disk. The file has no name and goes with its descriptor.
"""

import asyncio
import marshal
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from heapq import merge
from itertools import chain, islice
from typing import IO

from syncd.domain.errors import Retryable
from syncd.ports import Entry

RUN = 100_000
BLOCK = 250
PAGE = 1_000
_Row = tuple[bytes, str | None, int, str | None]


async def in_key_order(pages: AsyncIterator[Sequence[Entry]]) -> AsyncGenerator[list[Entry]]:
    """The same entries in pages of 1,000, in the order of the keys' UTF-8 bytes; of equal keys, one."""
    with tempfile.TemporaryFile(prefix="syncd-listing-") as file:
        runs = _Runs(file)
        async with aclosing(pages) as taken:  # type: ignore[type-var]
            async for page in taken:
                if runs.take(page):
                    await asyncio.to_thread(runs.spill)
        rows = runs.sorted()
        while page := await asyncio.to_thread(_next_page, rows):
            yield page


class _Runs:
    """What was taken in: runs on disk, each a list of blocks, and the run in memory that is still growing."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._blocks: list[list[tuple[int, int]]] = []
        self._run: list[_Row] = []

    def take(self, page: Sequence[Entry]) -> bool:
        """Take a page in; whether it is time to spill."""
        self._run.extend((key.encode(), etag, size, version) for key, etag, size, version in page)
        return len(self._run) >= RUN

    def spill(self) -> None:
        """Sort the run and put it on disk. Retryable: there is no room."""
        self._run.sort(key=_key)
        blocks = []
        try:
            for start in range(0, len(self._run), BLOCK):
                data = marshal.dumps(self._run[start : start + BLOCK])
                blocks.append((self._file.tell(), len(data)))
                self._file.write(data)
        except OSError as error:
            raise Retryable(
                f"no room to sort a listing: {error.strerror}; free space in {tempfile.gettempdir()}"
            ) from None
        self._blocks.append(blocks)
        self._run = []

    def sorted(self) -> Iterator[_Row]:
        """All rows in order. Blocks."""
        self._run.sort(key=_key)
        return merge(*(self._read(blocks) for blocks in self._blocks), self._run, key=_key)

    def _read(self, blocks: list[tuple[int, int]]) -> Iterator[_Row]:
        return chain.from_iterable(self._block(at, size) for at, size in blocks)

    def _block(self, at: int, size: int) -> list[_Row]:
        self._file.seek(at)
        rows: list[_Row] = marshal.loads(self._file.read(size))  # noqa: S302 - we wrote it, and nobody else can
        return rows


def _key(row: _Row) -> bytes:
    return row[0]


def _next_page(rows: Iterator[_Row]) -> list[Entry]:
    page: dict[bytes, Entry] = {}
    for key, etag, size, version in islice(rows, PAGE):
        page[key] = (key.decode(), etag, size, version)
    return list(page.values())
