"""Objects against records: one bucket's listing and what we did about it, side by side in key order.

Constant memory: some thousand objects are held at a time. Where nothing differs, which is nearly always, columns of
plain values are compared; references are made, and records are read and planned with, only for what may differ.
"""

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import structlog

from syncd.domain.errors import SyncdError
from syncd.domain.model import Kind, Mark, ObjectRef, Observation, Record, Subject, TaskState
from syncd.domain.planning import OnChange, OnDelete
from syncd.flows.context import Dataset
from syncd.flows.reconcile.chunks import ACTIVE, Chunk, chunked
from syncd.flows.reconcile.findings import Caution, Findings
from syncd.flows.reconcile.pace import NoRoom, Pace
from syncd.flows.reconcile.standing import Bookmark, Standing
from syncd.ports import KnownVersion, ObjectStore, Seen

log = structlog.get_logger()

CHUNK = 5_000
"""Objects that are compared at a time, and after which the place is kept."""
BATCH = 1_000
SETTLE_S = 1.0
LOOKS = 50
"""Objects looked at together, where a listing is of an earlier time."""
REMEMBERED = 1_000
"""Missing keys that are kept in memory; for more of them, the bucket is listed a second time."""
_SETTLED = frozenset({ACTIVE, TaskState.DISCARDED.value})
"""States of a task in which its object version is not to have another."""

LookAt = Callable[[Chunk, Sequence[KnownVersion]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Course:
    """How a look goes: at which pace, under which name its place is kept (none: not at all), and who watches.

    `watch` is called again and again with what was found so far.
    """

    pace: Pace = field(default_factory=Pace)
    looker: str = ""
    watch: Callable[[Findings], None] = lambda _: None


async def reconcile_objects(
    dataset: Dataset, store: ObjectStore, caution: Caution, course: Course | None = None
) -> Findings:
    """Compare one bucket's listing with our records and mark the objects that differ.

    What is missing is marked at the end, when it is not too much at once. A look that was cut off, and whose place was
    kept, goes on there. Raises NoRoom as `Pace` says, and what the store raises; what was listed before is marked all
    the same.
    """
    course = course or Course()
    bookmark = Bookmark(dataset, "" if caution.dry_run else course.looker, store.bucket)
    look = _Look(dataset, store, caution, course, bookmark)
    look.standing = await bookmark.read()
    look.findings, begun = look.standing.found(), replace(look.standing)
    try:
        await look.run()
    except NoRoom:
        raise
    except SyncdError:
        if look.findings.resumed and look.standing == begun:  # not stuck there for ever
            await bookmark.remove()
        raise
    await bookmark.remove()
    return look.findings


@dataclass
class _Look:
    """One look at one bucket."""

    dataset: Dataset
    store: ObjectStore
    caution: Caution
    course: Course
    bookmark: Bookmark
    standing: Standing = field(default_factory=Standing)
    findings: Findings = field(default_factory=Findings)
    missing: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """From the place on to the end."""
        if not self.standing.retiring:
            await self._list(self._look_at)
            if not self._believed(self.findings.gone) or not self.findings.gone or self.caution.dry_run:
                return
            if len(self.missing) == self.findings.gone:
                await self._mark(self._gone(self.missing))
                return
            self.standing = Standing(retiring=True)
            await self._keep()
        await self._list(self._retire)

    def _believed(self, gone: int) -> bool:
        self.findings.refused = self.caution.refuses(gone, self.findings.known)
        if self.findings.refused:
            bucket, reason = self.store.bucket, self.findings.refused
            log.error("reconcile.refused", dataset=self.dataset.name, bucket=bucket, reason=reason)
        return not self.findings.refused

    # ------------------------------------------------------------ side by side

    async def _list(self, look_at: LookAt) -> None:
        """All objects from the place on, with the records that lie between them; the place moves along."""
        async with aclosing(chunked(self.store.list(after=self.standing.after), CHUNK)) as chunks:
            async for listed in chunks:
                chunk = self._in_order(listed)
                upto = max(chunk.keys[-1], self.standing.after)
                await self._compare(chunk, upto, look_at)
                self.standing.after = upto
                await self._keep()
                if self.findings.refused:
                    return
        await self._compare(Chunk(), None, look_at)

    def _in_order(self, chunk: Chunk) -> Chunk:
        """The chunk, put in order if need be.

        What a store lists out of order is looked at in vain, and nothing worse: ingest asks before it acts.
        """
        keys, after = chunk.keys, self.standing.after
        if keys[0] >= after and keys == sorted(keys):
            return chunk
        log.warning("listing.out_of_order", bucket=self.store.bucket, after=after, first=keys[0])
        return chunk.in_key_order()

    async def _keep(self) -> None:
        self.standing.note(self.findings)
        self.course.watch(self.findings)
        await self.bookmark.keep(self.standing)

    async def _compare(self, chunk: Chunk, upto: str | None, look_at: LookAt) -> None:
        """Objects and records of one range of keys, from the place on; of many more records than objects in parts."""
        start = 0
        name, bucket = self.dataset.name, self.store.bucket
        pages = self.dataset.state.walk_versions(name, bucket, after=self.standing.after, upto=upto)
        async for rows in pages:
            end = bisect_right(chunk.keys, rows[-1][0], start)
            await look_at(chunk.part(start, end), rows)
            start = end
        if start < len(chunk.keys):
            await look_at(chunk.part(start, len(chunk.keys)), ())

    # ------------------------------------------------------------ the first listing

    async def _look_at(self, listed: Chunk, rows: Sequence[KnownVersion]) -> None:
        if listed.is_known(rows):
            self.findings.known += len(rows)
            self.findings.seen += len(rows)
            return
        active = {row[0] for row in rows if row[3] == ACTIVE}
        unsure = self._unsure(listed, rows)
        self.findings.known += len(active)
        self.findings.seen += len(listed.keys) - len(unsure)
        if unsure:
            await self._mark(await self._differing(unsure, {row[0] for row in rows}))
        if self.dataset.policy.on_delete is OnDelete.RETIRE:
            self._miss(await self._really(sorted(active.difference(listed.keys))))

    def _unsure(self, listed: Chunk, rows: Sequence[KnownVersion]) -> list[Seen]:
        """Those listed that do not plainly have their task."""
        several = self._with_several_tasks(rows)
        done = [row for row in rows if row[3] in _SETTLED and not row[4] and row[0] not in several]
        told: Iterable[tuple[str | None, ...]] = zip(listed.keys, listed.etags, strict=True)
        settled: set[tuple[str | None, ...]] = {(key, etag) for key, etag, _, _, _ in done}
        if any(listed.version_ids):
            told = zip(listed.keys, listed.etags, listed.version_ids, strict=True)
            settled = {(key, etag, version_id) for key, etag, version_id, _, _ in done}
        unsure = [n for n, one in enumerate(told) if one not in settled or one[0] in listed.of_parts]
        return [listed.seen(n) for n in unsure]

    def _with_several_tasks(self, rows: Sequence[KnownVersion]) -> set[str]:
        """The keys with one task too many, where a new one replaces the old."""
        if self.dataset.policy.on_change is not OnChange.REPLACE:
            return set()
        active = [row[0] for row in rows if row[3] == ACTIVE]
        counts = Counter(active) if len(set(active)) < len(active) else Counter()
        return {key for key, count in counts.items() if count > 1}

    async def _really(self, missing: list[str]) -> list[str]:
        """Those that are missing: of a listing from an earlier time, those that are not there now either."""
        if not getattr(self.store, "late", False):
            return missing
        gone: list[str] = []
        for start in range(0, len(missing), LOOKS):
            keys = missing[start : start + LOOKS]
            looks = await asyncio.gather(*(self.store.head(key) for key in keys))
            gone += [key for key, seen in zip(keys, looks, strict=True) if seen.gone]
        return gone

    def _miss(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.findings.count("gone", key)
        self.missing += keys[: REMEMBERED - len(self.missing)]

    async def _differing(self, unsure: Sequence[Seen], known: set[str]) -> list[Seen]:
        """Those for which there is something to do."""
        dataset = self.dataset
        refs = [ref for ref, _ in unsure if ref.key in known]
        records = await dataset.state.records(dataset.name, refs) if refs else {}
        differing = []
        for ref, seen in unsure:
            ours = records.get(ref, [])
            if not ours and not dataset.wants(ref):
                continue
            self.findings.seen += 1
            if what := _difference(dataset, ref, seen, ours):
                self.findings.count(what, ref.key)
                differing.append((ref, seen))
        return differing

    # ------------------------------------------------------------ the second listing

    async def _retire(self, listed: Chunk, rows: Sequence[KnownVersion]) -> None:
        """Mark what is missing in this one too; it may have become an outage in between."""
        missing = await self._really(sorted({row[0] for row in rows if row[3] == ACTIVE}.difference(listed.keys)))
        self.standing.retired += len(missing)
        if not self.findings.refused and self._believed(self.standing.retired):
            await self._mark(self._gone(missing))

    def _gone(self, keys: Iterable[str]) -> list[Seen]:
        now = self.dataset.clock.now()
        return [(ObjectRef(self.store.bucket, key), Observation(now, gone=True)) for key in keys]

    # ------------------------------------------------------------ marks

    async def _mark(self, differing: Sequence[Seen]) -> None:
        """A dead letter is not tried again by a listing that sees the same version of it."""
        if self.caution.dry_run:
            return
        for start in range(0, len(differing), BATCH):
            batch = differing[start : start + BATCH]
            await self.course.pace.room(self.dataset, len(batch))
            await self.dataset.state.mark([_object_mark(self.dataset, ref, seen) for ref, seen in batch])


def _object_mark(dataset: Dataset, ref: ObjectRef, seen: Observation) -> Mark:
    subject = Subject(Kind.OBJECT, dataset.name, ref.id)
    return Mark(subject, seen, delay=0.0 if seen.settled else SETTLE_S, revive=False)


def _difference(dataset: Dataset, ref: ObjectRef, seen: Observation, known: Sequence[Record]) -> str:
    """`new`, `changed`, or empty where nothing is to be done."""
    planned = dataset.plan(ref, seen, known)
    if planned.place or planned.restore:
        return "changed" if any(r.state is TaskState.ACTIVE for r in known) else "new"
    return "changed" if planned.retire else ""
