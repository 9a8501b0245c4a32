"""Snapshots on Lance, over the `SnapshotStore` port.

Called by the composition root and the snapshot flow. Everything blocks and runs in threads; `commit` says what
a commit is. Writes of one dataset follow each other within the process, and are safe against other processes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from syncd.domain.model import Row, StagedChange, VersionInfo
from syncd.domain.splits import Splits
from syncd.ports import Clock, Diff
from syncd.snapshots.commit import commit
from syncd.snapshots.location import open_root, probe_create_only
from syncd.snapshots.names import Names, check_tag
from syncd.snapshots.table import Change, Table, library, open_version

T = TypeVar("T")


class LanceSnapshots:
    """The `SnapshotStore` on a root URL: file://, s3://, gs:// or az://.

    `storage_options`: endpoint, credentials and client settings by their object_store names. The constructor
    raises ConfigError when the URL or the options are wrong, and asks the store nothing.
    """

    def __init__(self, url: str, *, clock: Clock, storage_options: Mapping[str, str] | None = None) -> None:
        self._root = open_root(url, storage_options, make=True)
        self._clock = clock
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._probed = False

    async def probe(self) -> None:
        """Prove that the root can hold versions: it is there, may be written, and refuses a second create.

        The first write does it too. Raises ConfigError when it cannot, Retryable when it did not answer. Loads
        Lance, so that a daemon that probes at its start pays for that then.
        """
        await asyncio.to_thread(library)
        await asyncio.to_thread(probe_create_only, self._root)
        self._probed = True

    async def commit(
        self, dataset: str, changes: Sequence[StagedChange], label_config: str, splits: Splits | None = None
    ) -> VersionInfo | None:
        """As the port says. A cancelled caller is held until the commit under way has ended."""
        return await self._write(dataset, lambda: commit(self._root, dataset, changes, label_config, self._clock))

    async def versions(self, dataset: str) -> list[VersionInfo]:
        """As the port says."""
        return await asyncio.to_thread(Names(self._root, dataset).all)

    async def tag(self, dataset: str, tag: str, number: int) -> None:
        """As the port says. `latest` cannot be set: it follows the newest version."""
        check_tag(tag)
        await self._write(dataset, lambda: self._tag(dataset, tag, number))

    def _tag(self, dataset: str, tag: str, number: int) -> None:
        names = Names(self._root, dataset)
        info = names.require(number)
        names.tag(tag, number, self._clock.now())
        open_version(self._root, info).tag(tag, info.table_version)

    async def tags(self, dataset: str) -> dict[str, int]:
        """As the port says."""
        return await asyncio.to_thread(Names(self._root, dataset).tags)

    async def rows(self, dataset: str, number: int) -> list[Row]:
        """As the port says."""
        return await asyncio.to_thread(lambda: self._version(dataset, number).rows())

    async def diff(self, dataset: str, before: int, after: int) -> Diff:
        """As the port says."""
        return await asyncio.to_thread(self._diff, dataset, before, after)

    def _diff(self, dataset: str, before: int, after: int) -> Diff:
        old = self._version(dataset, before) if before else None
        new = self._version(dataset, after)
        change = _between(old, new)
        return Diff(
            inserted=tuple(sorted(change.inserted)),
            updated=tuple(sorted(change.updated)),
            deleted=tuple(sorted(change.deleted)),
            labels_before=old.labels() if old else {},
            labels_after=new.labels(),
        )

    def _version(self, dataset: str, number: int) -> Table:
        return open_version(self._root, Names(self._root, dataset).require(number))

    async def _write(self, dataset: str, work: Callable[[], T]) -> T:
        job = asyncio.ensure_future(self._locked(dataset, work))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            await asyncio.wait([job])  # a thread cannot be stopped: nobody goes on while it still writes
            raise

    async def _locked(self, dataset: str, work: Callable[[], T]) -> T:
        async with self._locks[dataset]:
            if not self._probed:
                await self.probe()
            return await asyncio.to_thread(work)


def _between(old: Table | None, new: Table) -> Change:
    if old is None:
        return new.changed(0)
    if old.version <= new.version:
        return new.changed(old.version)
    return old.changed(new.version).reversed()
