"""Groups of objects as the objects of a bucket of their own, `groups+BUCKET`. Made by `views`.

A group is there when all its members are that have to be. Its etag is made of theirs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from syncd.domain.errors import Rejected
from syncd.domain.layout import GROUPS, Layout, Members
from syncd.domain.model import ObjectRef, Observation, Part, Versioned, canonical_json, digest
from syncd.ports import Clock, ObjectStore, Seen
from syncd.stores.views.base import DerivedView
from syncd.stores.views.spool import Row, spooling

_SCHEMA = """
CREATE TABLE members (name BLOB, key BLOB, etag, version_id, size, settled, at, PRIMARY KEY (name, key)) WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?)"
# The groups of one page whole: as many rows as there are, but groups up to the limit.
_BY_GROUP = """
SELECT m.* FROM members AS m JOIN (SELECT DISTINCT name FROM members WHERE name > ? ORDER BY name LIMIT ?) AS page
ON m.name = page.name ORDER BY m.name, m.key
"""


class GroupView(DerivedView):
    """Implements `ports.ObjectStore`. A group that is `gone` has as `parts` those members that are there."""

    def __init__(self, store: ObjectStore, layout: Layout, accepts: Callable[[ObjectRef], bool], clock: Clock) -> None:
        super().__init__(store, GROUPS)
        self._limits = layout.limits
        self._members = layout.members or Members({})
        self._accepts = accepts
        self._clock = clock

    async def head(self, key: str) -> Observation:
        """As the port says: one look for each key under which a member may lie."""
        places = [(name, ref) for name, at in self._members.keys(key) if self._accepts(ref := ObjectRef(self.base, at))]
        looks = await asyncio.gather(*(self._store.head(ref.key) for _, ref in places))
        return self._whole([(name, ref, seen) for (name, ref), seen in zip(places, looks, strict=True)])

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """As the port says, after the whole bucket was listed. Groups that lack a member are left out."""
        with spooling(_SCHEMA) as spool:
            async for page in self._store.list():
                await spool.put(_PUT, [row for ref, seen in page if (row := self._row(ref, seen))])
            async for rows in spool.pages(_BY_GROUP, after.encode()):
                groups = [self._group(name, found) for name, found in groupby(rows, itemgetter(0))]
                if there := [(ref, seen) for ref, seen in groups if not seen.gone]:
                    yield there

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """Rejected: its members have bytes, it has none."""
        raise Rejected(f"{key!r} of {self.bucket} is a group of objects; read its members")

    def _row(self, ref: ObjectRef, seen: Observation) -> Row | None:
        found = self._members.find(ref.key) if self._accepts(ref) else None
        if found is None:
            return None
        known = (seen.etag, seen.version_id, seen.size, seen.settled, seen.observed_at)
        return (found[1].encode(), ref.key.encode(), *known)

    def _group(self, name: bytes, rows: Iterable[Row]) -> Seen:
        group = name.decode()
        there = {
            key.decode(): Observation(at, etag=etag, version_id=version_id, size=size, settled=bool(settled))
            for _, key, etag, version_id, size, settled, at in rows
        }
        found = [
            (member, ObjectRef(self.base, key), there[key]) for member, key in self._members.keys(group) if key in there
        ]
        return ObjectRef(self.bucket, group), self._whole(found)

    def _whole(self, found: Iterable[tuple[str, ObjectRef, Observation]]) -> Observation:
        """The group as one observation; of several objects for one member the first counts."""
        there: dict[str, tuple[ObjectRef, Observation]] = {}
        for name, ref, seen in found:
            if not seen.gone and not self._limits.refuses(seen.size):
                there.setdefault(name, (ref, seen))
        parts = tuple(Part(name, ref, seen.etag, seen.version_id) for name, (ref, seen) in there.items())
        looks = [seen for _, seen in there.values()]
        if self._members.missing(list(there)):
            return Observation(self._clock.now(), gone=True, parts=parts)
        return Observation(
            max((seen.observed_at for seen in looks), default=self._clock.now()),
            etag=digest(canonical_json([[part.name, part.ref.key, part.etag] for part in parts]))[:32],
            size=sum(seen.size or 0 for seen in looks),
            settled=all(seen.settled for seen in looks),
            parts=parts,
        )
