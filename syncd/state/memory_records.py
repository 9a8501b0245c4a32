"""Records and intents in memory: one role of `MemoryState`, the reference."""

import itertools
from abc import abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from syncd.domain.model import Claim, Intent, Mark, ObjectRef, Record, Subject
from syncd.ports import KnownVersion
from syncd.state import rules
from syncd.state.rules import Entry

_PAGE = 1000
_Item = TypeVar("_Item")


class MemoryRecords:
    """See `ports.Records`. `_entries` are those of the whole store."""

    _entries: dict[Subject, Entry]

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[tuple[str, str], Record] = {}
        self._intents: dict[str, Intent] = {}

    @abstractmethod
    async def mark(self, marks: Sequence[Mark]) -> None:
        """See `Subjects.mark`."""

    async def records(self, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[Record]]:
        """See `Records.records`."""
        wanted = set(refs)
        ours = sorted((r for r in self._of(dataset) if r.ref in wanted), key=_object_order)
        return {ref: list(records) for ref, records in groupby(ours, attrgetter("ref"))}

    def _of(self, dataset: str) -> Iterable[Record]:
        return [record for record in self._records.values() if record.dataset == dataset]

    async def by_task(self, dataset: str, task_ids: Sequence[str]) -> dict[str, list[Record]]:
        """See `Records.by_task`."""
        wanted, found = set(task_ids), defaultdict(list)
        for record in sorted(self._of(dataset), key=attrgetter("task_key")):
            if record.task_id in wanted:
                found[record.task_id].append(record)
        return dict(found)

    async def task_keys(self, dataset: str, keys: Sequence[str]) -> set[str]:
        """See `Records.task_keys`."""
        return {record.task_key for record in self._of(dataset)} & set(keys)

    async def walk(self, dataset: str, bucket: str, *, after: str = "") -> AsyncIterator[Sequence[Record]]:
        """See `Records.walk`: text sorts by code point, which is the order of its UTF-8 bytes."""
        ours = [r for r in self._of(dataset) if r.ref.bucket == bucket and r.ref.key > after]
        objects = groupby(sorted(ours, key=_object_order), attrgetter("ref"))
        for page in _pages([list(records) for _, records in objects]):
            yield list(itertools.chain.from_iterable(page))

    async def walk_versions(
        self, dataset: str, bucket: str, *, after: str = "", upto: str | None = None
    ) -> AsyncIterator[Sequence[KnownVersion]]:
        """See `Records.walk_versions`."""
        async for page in self.walk(dataset, bucket, after=after):
            within = [r for r in page if upto is None or r.ref.key <= upto]
            if not within:
                return
            yield [(r.ref.key, r.etag, r.version_id, r.state.value, bool(r.parts)) for r in within]

    async def walk_tasks(self, dataset: str) -> AsyncIterator[Sequence[Record]]:
        """See `Records.walk_tasks`."""
        for page in _pages(sorted(self._of(dataset), key=lambda r: (rules.task_order(r.task_id), r.task_key))):
            yield page

    async def intend(self, intent: Intent, *, held: Sequence[Claim] = ()) -> None:
        """See `Records.intend`; the same marker again replaces the intent."""
        rules.require_held(self._entries, held)
        self._intents[intent.marker] = intent

    async def intents(self, dataset: str) -> list[Intent]:
        """See `Records.intents`."""
        ours = [i for i in self._intents.values() if i.dataset == dataset]
        return sorted(ours, key=attrgetter("created_at"))

    async def record(self, records: Sequence[Record]) -> None:
        """See `Records.record`."""
        self._records.update({_name(record): record for record in records})

    async def fulfil(
        self, marker: str | None, records: Sequence[Record], *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """See `Records.fulfil`."""
        if marker and not self._intents.pop(marker, None) and not rules.all_held(self._entries, held):
            return []
        standing = [self._records.setdefault(_name(record), record) for record in records]
        return [ours for ours, there in zip(records, standing, strict=True) if there.task_id == ours.task_id]

    async def amend(
        self, changes: Sequence[tuple[Record, Record]], marks: Sequence[Mark] = (), *, held: Sequence[Claim] = ()
    ) -> list[Record]:
        """See `Records.amend`."""
        rules.require_held(self._entries, held)
        amended = [after for before, after in changes if self._records.get(_name(before)) == before]
        self._records.update({_name(record): record for record in amended})
        await self.mark(marks)
        return amended

    async def abandon(self, marker: str) -> None:
        """See `Records.abandon`."""
        self._intents.pop(marker, None)


def _name(record: Record) -> tuple[str, str]:
    return record.dataset, record.task_key


def _object_order(record: Record) -> tuple[ObjectRef, int, tuple[int, str]]:
    return record.ref, record.serial, rules.task_order(record.task_id)


def _pages(items: Sequence[_Item]) -> Iterable[Sequence[_Item]]:
    return (items[start : start + _PAGE] for start in range(0, len(items), _PAGE))
