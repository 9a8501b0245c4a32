"""Rows of manifests as the objects of a bucket of their own, `rows+BUCKET`. Made by `views`.

A row's etag is a hash of what it says, so a manifest that is replaced changes only the rows that differ in it. What was
read of a manifest is kept on disk for as long as its version stays, so a listing reads only manifests that are new.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import orjson

from syncd.domain.errors import Rejected, Retryable, TooLarge
from syncd.domain.layout import ROWS, Layout, Manifests, Role, row_key, row_of
from syncd.domain.manifests import linked_object, row_id, row_version
from syncd.domain.model import JsonObject, ObjectRef, Observation, Part, Versioned
from syncd.domain.routing import Selection
from syncd.ports import Clock, ObjectStore, Seen
from syncd.stores.versions import gone, require_version
from syncd.stores.views import reading
from syncd.stores.views.base import DerivedView
from syncd.stores.views.spool import Row, Spool

FRESH_S = 1.0
"""How long a look at a manifest counts for its rows: a batch of them asks one after the other."""

_SCHEMA = """
CREATE TABLE manifests (manifest BLOB PRIMARY KEY, version, looked_at, turn) WITHOUT ROWID;
CREATE TABLE rows (key BLOB PRIMARY KEY, manifest BLOB, etag, size, parts, data) WITHOUT ROWID;
CREATE INDEX by_manifest ON rows (manifest, key);
"""
_ALL = "SELECT key, etag, size, parts FROM rows WHERE key > ? ORDER BY key LIMIT ?"
_PUT = "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?)"


class RowView(DerivedView):
    """Implements `ports.ObjectStore`. `links`: the columns that hold links, and the buckets they may lead to by URL."""

    def __init__(
        self,
        store: ObjectStore,
        layout: Layout,
        accepts: Callable[[ObjectRef], bool],
        links: tuple[Sequence[str], Sequence[str]],
        clock: Clock,
    ) -> None:
        super().__init__(store, ROWS)
        self._layout = layout
        self._manifests = layout.manifests or Manifests(Selection())
        self._accepts = accepts
        self._linked, self._buckets = links
        self._clock = clock
        self._spool = Spool(_SCHEMA)
        self._reading = asyncio.Lock()
        self._turn = 0

    async def head(self, key: str) -> Observation:
        """As the port says. Retryable: its manifest cannot be read now, which is that one's trouble."""
        await self._know(key)
        row = await self._spool.one("SELECT key, etag, size, parts FROM rows WHERE key = ?", key.encode())
        return self._seen(row)[1] if row else Observation(self._clock.now(), gone=True)

    async def get(self, key: str, *, limit: int, cut: bool = False, of: Versioned | None = None) -> bytes:
        """The row as a JSON object. Retryable as `head`."""
        await self._know(key)
        row = await self._spool.one("SELECT key, etag, size, parts, data FROM rows WHERE key = ?", key.encode())
        if row is None:
            raise gone(key, self.bucket, of)
        require_version(key, self._seen(row[:-1])[1], of)
        data = bytes(row[-1])
        if len(data) > limit and not cut:
            raise TooLarge(f"{key!r} has {len(data)} bytes, more than the {limit} allowed")
        return data[:limit]

    async def rows(self, manifest: str) -> AsyncIterator[Sequence[Seen]]:
        """Pages of the rows of one manifest as it is now, in key order; none where it is gone. Rejected: as `head`."""
        await self._look(manifest, fresh=0.0)
        behind = f"{manifest}#".encode()
        async for page in self._spool.pages(_ALL, behind):
            ours = [row for row in page if row_of(row[0].decode())[0] == manifest]
            if ours:
                yield [self._seen(row) for row in ours]
            if not page[-1][0].startswith(behind):
                return

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """As the port says. A manifest that cannot be read holds up none of the others, but the end of the listing."""
        self._turn += 1
        turn, failures = self._turn, list[str]()
        async for page in self._store.list():
            for ref, seen in page:
                if self._is_manifest(ref):
                    failures += await self._take(ref.key, seen, turn)
        await self._spool.run(lambda connection: _drop_others(connection, turn))
        async for rows in self._spool.pages(_ALL, after.encode()):
            yield [self._seen(row) for row in rows]
        if failures:
            raise Retryable(f"{len(failures)} manifests cannot be read, so nobody knows what left them: {failures[0]}")

    async def _know(self, key: str) -> None:
        manifest, _ = row_of(key)
        try:
            await self._look(manifest, fresh=FRESH_S)
        except Rejected as error:
            raise Retryable(f"the row waits for its manifest {manifest!r}: {error}") from None

    def _is_manifest(self, ref: ObjectRef) -> bool:
        return self._layout.role(ref.key) is Role.MANIFEST and self._accepts(ref)

    async def _take(self, manifest: str, seen: Observation, turn: int) -> Sequence[str]:
        """What a listing saw of a manifest; returns what is wrong with it."""
        try:
            async with self._reading:
                await self._bring(manifest, seen, turn)
        except (Rejected, Retryable) as error:
            await self._spool.put(_PUT, [(manifest.encode(), None, 0.0, turn)])  # its rows stay as they were
            return [f"{manifest}: {error}"]
        return []

    async def _look(self, manifest: str, *, fresh: float) -> None:
        """Have the rows of a manifest as it is now, or was less than `fresh` seconds ago."""
        async with self._reading:
            query = "SELECT looked_at FROM manifests WHERE manifest = ? AND version IS NOT NULL"
            known = await self._spool.one(query, manifest.encode())
            if known is None or not 0 <= self._clock.now() - known[0] < fresh:
                await self._bring(manifest, await self._store.head(manifest), self._turn)

    async def _bring(self, manifest: str, seen: Observation, turn: int) -> None:
        """Read it, where what was read before is of another version."""
        if not seen.settled:
            raise Retryable(f"the manifest {manifest!r} is still being written")
        version = "" if seen.gone or not self._is_manifest(ObjectRef(self.base, manifest)) else seen.version
        known = await self._spool.one("SELECT version FROM manifests WHERE manifest = ?", manifest.encode())
        entry = (manifest.encode(), version, self._clock.now(), turn)
        if known and version is not None and known[0] == version:
            await self._spool.put(_PUT, [entry])
            return
        data = await self._data(manifest, seen) if version != "" else None
        await self._spool.run(lambda connection: self._replace(connection, manifest, data, entry))

    async def _data(self, manifest: str, seen: Observation) -> bytes:
        if why := self._layout.limits.refuses(seen.size):
            raise Rejected(f"the manifest {manifest!r} is not read: {why}")
        return await self._store.get(manifest, limit=self._manifests.limit, of=seen)

    def _replace(self, connection: sqlite3.Connection, manifest: str, data: bytes | None, entry: Row) -> None:
        """All rows of a manifest, or none of them. In a thread."""
        connection.execute("BEGIN")
        try:
            connection.execute("DELETE FROM rows WHERE manifest = ?", entry[:1])
            if data is not None:
                statement = "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
                connection.executemany(statement, self._rows(manifest, data))
            connection.execute(_PUT, entry)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _rows(self, manifest: str, data: bytes) -> Iterator[Row]:
        """Rejected: a row names itself as another one does, or not at all."""
        limits, versions = self._manifests, dict[str, str]()
        for number, row in enumerate(reading.rows(manifest, data, limit=limits.limit, most=limits.most_rows), 1):
            try:
                name, version, parts = row_id(row, limits.id_column), row_version(row), self._parts(row)
            except Rejected as error:
                raise Rejected(f"row {number} of {manifest!r}: {error}") from None
            if versions.setdefault(name, version) != version:
                raise Rejected(f"row {number} of {manifest!r}: another row has the id {name!r} too")
            body = orjson.dumps(row)
            yield row_key(manifest, name).encode(), manifest.encode(), version, len(body), orjson.dumps(parts), body

    def _parts(self, row: JsonObject) -> Sequence[tuple[str, str, str]]:
        links = ((column, linked_object(row.get(column), self.base, self._buckets)) for column in self._linked)
        return [(column, target.bucket, target.key) for column, target in links if target]

    def _seen(self, row: Row) -> Seen:
        key, etag, size, parts = row
        made_of = tuple(Part(name, ObjectRef(bucket, at)) for name, bucket, at in orjson.loads(parts))
        seen = Observation(self._clock.now(), etag=etag, size=size, parts=made_of)
        return ObjectRef(self.bucket, key.decode()), seen


def _drop_others(connection: sqlite3.Connection, turn: int) -> None:
    """Forget manifests that a listing did not see."""
    connection.execute("DELETE FROM rows WHERE manifest IN (SELECT manifest FROM manifests WHERE turn < ?)", (turn,))
    connection.execute("DELETE FROM manifests WHERE turn < ?", (turn,))
