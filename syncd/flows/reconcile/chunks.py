"""A listing, some thousand objects at a time: columns to compare by, and what was seen of one object by its place.

Used by `objects`. A reference and an observation are made of an object that may differ; making them of all would cost
more than comparing.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter

from syncd.domain.errors import SyncdError
from syncd.domain.model import TaskState
from syncd.ports import KnownVersion, Listed, Seen

ACTIVE = TaskState.ACTIVE.value


@dataclass(slots=True)
class Chunk:
    """Objects in the order in which they were listed.

    `of_parts`: the keys of those whose task is made of further objects; in a part of a chunk, those of the whole.
    """

    keys: list[str] = field(default_factory=list)
    etags: list[str | None] = field(default_factory=list)
    version_ids: list[str | None] = field(default_factory=list)
    of_parts: set[str] = field(default_factory=set)
    _pages: list[Sequence[Seen]] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _first: int = 0

    def add(self, page: Sequence[Seen]) -> None:
        """Take a page in, behind the others."""
        self._pages.append(page)
        self._starts.append(len(self.keys))
        if isinstance(page, Listed):
            self.keys += map(itemgetter(0), page.entries)
            self.etags += map(itemgetter(1), page.entries)
            self.version_ids += map(itemgetter(3), page.entries)
        else:
            self.keys += [ref.key for ref, _ in page]
            self.etags += [seen.etag for _, seen in page]
            self.version_ids += [seen.version_id for _, seen in page]
            self.of_parts.update(ref.key for ref, seen in page if seen.parts)

    def part(self, start: int, end: int) -> "Chunk":
        """Those from one place to before another."""
        if end - start == len(self.keys):
            return self
        here = slice(start, end)
        return replace(
            self,
            keys=self.keys[here],
            etags=self.etags[here],
            version_ids=self.version_ids[here],
            _first=self._first + start,
        )

    def in_key_order(self) -> "Chunk":
        """The same objects in the order of their keys."""
        chunk = Chunk()
        chunk.add(sorted(chain.from_iterable(self._pages), key=lambda each: each[0].key))
        return chunk

    def seen(self, place: int) -> Seen:
        """What was seen at a place."""
        place += self._first
        page = bisect_right(self._starts, place) - 1
        return self._pages[page][place - self._starts[page]]

    def is_known(self, rows: Sequence[KnownVersion]) -> bool:
        """Whether each object has its one task, of its version, and there is no other: nearly always."""
        if len(rows) != len(self.keys) or not rows:
            return False
        keys, etags, version_ids, states, of_parts = map(list, zip(*rows, strict=True))
        return (
            keys == self.keys
            and etags == self.etags
            and (version_ids == self.version_ids or not any(self.version_ids))
            and states.count(ACTIVE) == len(states)
            and not any(of_parts)
            and not self.of_parts
        )


async def chunked(pages: AsyncIterator[Sequence[Seen]], size: int) -> AsyncGenerator[Chunk]:
    """Pages put together, until they hold so many objects.

    What came before an expected error is yielded before it is raised.
    """
    chunk = Chunk()
    try:
        async for page in pages:
            chunk.add(page)
            if len(chunk.keys) >= size:
                yield chunk
                chunk = Chunk()
    except SyncdError:
        if chunk.keys:
            yield chunk
        raise
    if chunk.keys:
        yield chunk
