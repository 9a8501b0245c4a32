"""The state store in memory: the reference, and what tests of flows run on.

Durable only as long as the process; every rule is the one of the SQL store. Nothing here awaits while it
works, so each method is atomic on its event loop.
"""

import itertools
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from operator import attrgetter

from syncd.domain.model import (
    Claim,
    DeadLetter,
    Kind,
    Mark,
    Settlement,
    StagedChange,
    Subject,
)
from syncd.ports import Backlog, Clock, Lane
from syncd.state import rules
from syncd.state.bell import Bell, wait_for
from syncd.state.memory_deliveries import MemoryDeliveries
from syncd.state.memory_imports import MemoryImports
from syncd.state.memory_leases import MemoryLeases
from syncd.state.memory_quarantine import MemoryQuarantine
from syncd.state.memory_records import MemoryRecords
from syncd.state.rules import Entry


class MemoryState(MemoryRecords, MemoryDeliveries, MemoryQuarantine, MemoryImports, MemoryLeases):
    """A `StateStore` made of dicts. A dict keeps the order of first insertion: ties go to the older entry."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._bell = Bell()
        self._entries: dict[Subject, Entry] = {}
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
        return [rules.claim_of(entry, token) for entry in claimed]

    def _by_ready_at(self) -> list[Entry]:
        alive = [e for e in self._entries.values() if e.ready_at is not None]
        return sorted(alive, key=_ready_at)

    async def renew(self, claims: Sequence[Claim], *, lease: float) -> int:
        """See `Subjects.renew`."""
        until, lost = self._clock.now() + lease, 0
        for claim in claims:
            entry = self._entries.get(claim.subject)
            if entry and rules.held(entry, claim):
                self._entries[claim.subject] = rules.claimed(entry, claim.token, until)
            else:
                lost += 1
        return lost

    async def settle(self, settlements: Sequence[Settlement]) -> int:
        """See `Subjects.settle`."""
        lost = 0
        for settlement in settlements:
            subject = settlement.claim.subject
            entry = self._entries.get(subject)
            if entry and rules.held(entry, settlement.claim):
                self._put(subject, rules.settled(entry, settlement, self._clock.now()))
            else:
                lost += 1
        self._bell.ring()
        return lost

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

    async def stage(
        self, dataset: str, changes: Sequence[StagedChange], *, held: Sequence[Claim] | None = None
    ) -> None:
        """See `Staging.stage`; what waits already keeps its `seq`."""
        if held is not None:
            ours = {c.subject.id for c in held if rules.held(self._entries.get(c.subject), c)}
            changes = [change for change in changes if change.task_id in ours]
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
            if waiting and waiting.seq == change.seq:
                del self._staged[name]
                if waiting.row is None:
                    del self._known[name]
        forgotten = [replace(c, row=None) for c in changes if c.row and (dataset, c.annotation_id) not in self._known]
        await self.stage(dataset, forgotten)

    # ------------------------------------------------------------ cursors and life

    async def get(self, name: str) -> str | None:
        """See `Cursors.get`."""
        return self._cursors.get(name)

    async def put(self, name: str, value: str) -> None:
        """See `Cursors.put`."""
        self._cursors[name] = value

    async def put_once(self, name: str, value: str) -> str:
        """See `Cursors.put_once`."""
        return self._cursors.setdefault(name, value)

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
