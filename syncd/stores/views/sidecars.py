"""A bucket whose objects are seen together with their sidecars. Made by `views`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from syncd.domain.layout import Sidecar
from syncd.domain.model import SIDECAR, ObjectRef, Observation, Part
from syncd.ports import ObjectStore, Seen
from syncd.stores.views.spool import Row, spooling

_SCHEMA = """
CREATE TABLE objects (key BLOB PRIMARY KEY, sidecar BLOB, etag, version_id, size, settled, at) WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)"
_JOINED = """
SELECT o.key, o.etag, o.version_id, o.size, o.settled, o.at, s.key, s.etag, s.version_id, s.settled
FROM objects AS o LEFT JOIN objects AS s ON s.key = o.sidecar
WHERE o.key > ? AND o.sidecar IS NOT NULL ORDER BY o.key LIMIT ?
"""


class SidecarView:
    """Implements `ports.ObjectStore`: the `parts` of an object are its sidecar, if it has one. Those are not listed."""

    def __init__(self, store: ObjectStore, sidecar: Sidecar) -> None:
        self.bucket = store.bucket
        self._store = store
        self._sidecar = sidecar
        self.get, self.write, self.remove = store.get, store.write, store.remove
        self.sign, self.stream = store.sign, store.stream

    async def head(self, key: str) -> Observation:
        """As the port says. An object whose sidecar is still being written is not settled either."""
        beside = self._sidecar.of(key)
        seen, described = await asyncio.gather(self._store.head(key), self._store.head(beside))
        if seen.gone or described.gone:
            return seen
        part = Part(SIDECAR, ObjectRef(self.bucket, beside), described.etag, described.version_id)
        return replace(seen, parts=(part,), settled=seen.settled and described.settled)

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """As the port says, after the whole bucket was listed."""
        with spooling(_SCHEMA) as spool:
            async for page in self._store.list():
                await spool.put(_PUT, [self._row(ref.key, seen) for ref, seen in page])
            async for rows in spool.pages(_JOINED, after.encode()):
                yield [self._seen(row) for row in rows]

    async def close(self) -> None:
        """Nothing of its own is held."""

    def _row(self, key: str, seen: Observation) -> Row:
        beside = None if self._sidecar.covers(key) else self._sidecar.of(key).encode()
        known = (seen.etag, seen.version_id, seen.size, seen.settled, seen.observed_at)
        return (key.encode(), beside, *known)

    def _seen(self, row: Row) -> Seen:
        key, etag, version_id, size, settled, at, beside, beside_etag, beside_version, beside_settled = row
        seen = Observation(at, etag=etag, version_id=version_id, size=size, settled=bool(settled))
        if beside is not None:
            part = Part(SIDECAR, ObjectRef(self.bucket, beside.decode()), beside_etag, beside_version)
            seen = replace(seen, parts=(part,), settled=bool(settled and beside_settled))
        return ObjectRef(self.bucket, key.decode()), seen
