"""The state store in memory: the reference, and what tests of flows run on.

Durable only as long as the process; every rule is the one of the SQL store. Nothing here awaits while it
works, so each method is atomic on its event loop.
"""

import itertools
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from syncd.domain.model import (
    Claim,
    DeadLetter,
    Intent,
    Kind,
    Mark,
    ObjectRef,
    Record,
    Settlement,
    StagedChange,
    Subject,
)
from syncd.ports import Backlog, Clock, KnownVersion, Lane
from syncd.state import rules
from syncd.state.bell import Bell, wait_for
from syncd.state.memory_deliveries import MemoryDeliveries
from syncd.state.memory_imports import MemoryImports
from syncd.state.memory_quarantine import MemoryQuarantine
from syncd.state.rules import Entry

_PAGE = 1000
_Item = TypeVar("_Item")


class MemoryState(MemoryDeliveries, MemoryQuarantine, MemoryImports):
    """A `StateStore` made of dicts. A dict keeps the order of first insertion: ties go to the older entry."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._bell = Bell()
        self._entries: dict[Subject, Entry] = {}
        self._records: dict[tuple[str, str], Record] = {}
        self._intents: dict[str, Intent] = {}
        self._staged: dict[tuple[str, str], StagedChange] = {}
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._cursors: dict[str, str] = {}
        self._seq = itertools.count(1)

    # ------------------------------------------------------------ subjects

    async def mark(self, marks: Sequence[Mark]) -> None:
        """See `Subjects.mark`; durable while the process lives."""
        now = self._clock.now()
        for mark in marks:
            self._entries[mark.subject] = rules.marked(self._entries.get(mark.subject), mark, now)
        self._bell.ring()

    async def claim(self, *, limit: int, lease: float, avoid: Collection[Lane] = ()) -> list[Claim]:
        """See `Subjects.claim`."""
        now = self._clock.now()
        ready = [e for e in self._by_ready_at() if _lane(e) not in avoid and _ready_at(e) <= now]
        token = secrets.token_hex(16)
        claimed = [rules.claimed(e, token, now + lease) for e in ready if _lane(e) == _lane(ready[0])][:limit]
        self._entries |= {entry.subject: entry for entry in claimed}
        return [rules.claim_of(entry) for entry in claimed]

    def _by_ready_at(self) -> list[Entry]:
        alive = [e for e in self._entries.values() if e.ready_at is not None]
        return sorted(alive, key=_ready_at)

    async def renew(self, claims: Sequence[Claim], *, lease: float) -> None:
        """See `Subjects.renew`."""
        until = self._clock.now() + lease
        for claim in claims:
            entry = self._entries.get(claim.subject)
            if entry and rules.held(entry, claim):
                self._entries[claim.subject] = rules.claimed(entry, claim.token, until)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """See `Subjects.settle`."""
        for settlement in settlements:
            subject = settlement.claim.subject
            entry = self._entries.get(subject)
            if entry and rules.held(entry, settlement.claim):
                self._put(subject, rules.settled(entry, settlement, self._clock.now()))
        self._bell.ring()

    def _put(self, subject: Subject, entry: Entry | None) -> None:
        if entry is None:
            del self._entries[subject]
        else:
            self._entries[subject] = entry

    async def wait(self, timeout: float) -> None:
        """See `Subjects.wait`."""
        ticket = self._bell.ticket()
        now = self._clock.now()
        due = min((_ready_at(e) for e in self._by_ready_at()[:1]), default=now + timeout)
        await wait_for(ticket, self._clock, min(timeout, due - now))

    async def backlog(self) -> list[Backlog]:
        """See `Subjects.backlog`."""
        lanes: dict[Lane, list[Entry]] = defaultdict(list)
        for entry in self._entries.values():
            if entry.gone_at is None:
                lanes[_lane(entry)].append(entry)
        return [self._backlog(*lane, entries) for lane, entries in sorted(lanes.items())]

    def _backlog(self, kind: Kind, dataset: str, entries: list[Entry]) -> Backlog:
        alive = [e for e in entries if e.ready_at is not None]
        claimed = sum(e.lease_until is not None and e.lease_until > self._clock.now() for e in alive)
        oldest = min((e.first_marked_at for e in alive), default=None)
        return Backlog(kind, dataset, len(alive) - claimed, claimed, len(entries) - len(alive), oldest)

    async def dead_letters(self, dataset: str | None = None) -> list[DeadLetter]:
        """See `Subjects.dead_letters`."""
        dead = [e for e in self._entries.values() if e.dead_at is not None]
        letters = [rules.dead_letter(e) for e in dead if dataset is None or rules.belongs(e.subject, dataset)]
        return sorted(letters, key=attrgetter("dead_at"))

    async def revive(self, subjects: Sequence[Subject]) -> int:
        """See `Subjects.revive`."""
        return self._change_dead(subjects, lambda entry: rules.revived(entry, self._clock.now()))

    async def drop(self, subjects: Sequence[Subject]) -> int:
        """See `Subjects.drop`."""
        return self._change_dead(subjects, lambda _: None)

    async def prune_gone(self, before: float) -> int:
        """See `Subjects.prune_gone`."""
        old = [s for s, e in self._entries.items() if e.gone_at is not None and e.gone_at < before]
        for subject in old:
            del self._entries[subject]
        return len(old)

    def _change_dead(self, subjects: Sequence[Subject], change: Callable[[Entry], Entry | None]) -> int:
        dead = [s for s in set(subjects) if s in self._entries and self._entries[s].dead_at is not None]
        for subject in dead:
            self._put(subject, change(self._entries[subject]))
        self._bell.ring()
        return len(dead)

    # ------------------------------------------------------------ records

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

    async def intend(self, intent: Intent) -> None:
        """See `Records.intend`; the same marker again replaces the intent."""
        self._intents[intent.marker] = intent

    async def intents(self, dataset: str) -> list[Intent]:
        """See `Records.intents`."""
        ours = [i for i in self._intents.values() if i.dataset == dataset]
        return sorted(ours, key=attrgetter("created_at"))

    async def record(self, records: Sequence[Record], *, fulfils: str | None = None) -> None:
        """See `Records.record`."""
        self._records.update({(r.dataset, r.task_key): r for r in records})
        if fulfils is not None:
            self._intents.pop(fulfils, None)

    async def abandon(self, marker: str) -> None:
        """See `Records.abandon`."""
        self._intents.pop(marker, None)

    # ------------------------------------------------------------ staging

    async def known(self, dataset: str, task_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """See `Staging.known`; the digest of a deletion that waits is empty."""
        wanted = set(task_ids)
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for (owner, annotation_id), (task_id, digest) in self._known.items():
            if owner == dataset and task_id in wanted:
                found[task_id][annotation_id] = digest
        return dict(found)

    async def tasks_of(self, dataset: str, annotation_ids: Sequence[str]) -> list[str]:
        """See `Staging.tasks_of`; each task once, in order of its id."""
        found = {self._known[dataset, a][0] for a in annotation_ids if (dataset, a) in self._known}
        return sorted(found, key=rules.task_order)

    async def stage(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """See `Staging.stage`; what waits already keeps its `seq`."""
        for change in rules.newest(changes):
            name = (dataset, change.annotation_id)
            waiting = self._staged.get(name)
            if waiting is None or replace(change, seq=waiting.seq) != waiting:
                self._staged[name] = replace(change, seq=next(self._seq))
            self._known[name] = (change.task_id, change.row.digest if change.row else "")

    async def staged(self, dataset: str, *, limit: int) -> list[StagedChange]:
        """See `Staging.staged`."""
        ours = [change for (owner, _), change in self._staged.items() if owner == dataset]
        return sorted(ours, key=attrgetter("seq"))[:limit]

    async def staged_count(self, dataset: str) -> int:
        """See `Staging.staged_count`."""
        return sum(owner == dataset for owner, _ in self._staged)

    async def committed(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """See `Staging.committed`; a committed deletion is no longer known."""
        for change in changes:
            name = (dataset, change.annotation_id)
            waiting = self._staged.get(name)
            if waiting is None or waiting.seq != change.seq:
                continue
            del self._staged[name]
            if waiting.row is None:
                del self._known[name]

    # ------------------------------------------------------------ cursors and life

    async def get(self, name: str) -> str | None:
        """See `Cursors.get`."""
        return self._cursors.get(name)

    async def put(self, name: str, value: str) -> None:
        """See `Cursors.put`."""
        self._cursors[name] = value

    async def forget(self, dataset: str) -> None:
        """See `StateStore.forget`."""
        self._entries = {s: e for s, e in self._entries.items() if not rules.belongs(s, dataset)}
        self._records = {n: r for n, r in self._records.items() if n[0] != dataset}
        self._intents = {m: i for m, i in self._intents.items() if i.dataset != dataset}
        self.forget_imports(dataset)
        self.forget_deliveries(dataset)
        self._cursors = {n: v for n, v in self._cursors.items() if not n.endswith(f":{dataset}")}
        ours = [(annotation, task) for (owner, annotation), (task, _) in self._known.items() if owner == dataset]
        await self.stage(dataset, [StagedChange(annotation, task, None) for annotation, task in sorted(ours)])

    async def close(self) -> None:
        """Nothing to release."""


def _ready_at(entry: Entry) -> float:
    return float("inf") if entry.ready_at is None else entry.ready_at


def _lane(entry: Entry) -> Lane:
    return entry.subject.kind, entry.subject.dataset


def _object_order(record: Record) -> tuple[ObjectRef, int, tuple[int, str]]:
    return record.ref, record.serial, rules.task_order(record.task_id)


def _pages(items: Sequence[_Item]) -> Iterable[Sequence[_Item]]:
    return (items[start : start + _PAGE] for start in range(0, len(items), _PAGE))
