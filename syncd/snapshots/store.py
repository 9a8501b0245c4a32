"""Snapshots on Lance, over the `SnapshotStore` port.

Called by the composition root and the snapshot flow. Everything blocks and runs in threads; `commit`, `restore`,
`garbage` and `compaction` say what each is. What touches a table is imported there, when one is first touched: Lance
and Arrow take 130 MB, and a second or two that the event loop must not stand still. Writes to the table of one dataset
follow each other within the process, and everything is safe against other processes.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from syncd.domain.diff import Diff
from syncd.domain.errors import ConfigError
from syncd.domain.model import Row, StagedChange, VersionInfo
from syncd.domain.splits import Splits
from syncd.ports import Clock, Collected, Damage, Retention, TagMove
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.names import Names
from syncd.snapshots.probing import require_create_only
from syncd.snapshots.retention import SPARE_S
from syncd.snapshots.tags import Move, check_tag, move
from syncd.snapshots.verify import verify

if TYPE_CHECKING:
    from syncd.snapshots.table import Table

T = TypeVar("T")
StorageOptions = Mapping[str, str] | Callable[[], Mapping[str, str]]

log = structlog.get_logger()


class LanceSnapshots:
    """The `SnapshotStore` on a root URL: file://, s3://, gs:// or az://.

    `storage_options`: endpoint, credentials and client settings by their object_store names; or what gives them, which
    is asked again for each piece of work, so that rotated credentials need no restart. `spare`: seconds for
    which garbage collection leaves every table version alone (`cleanup`); less than the default in tests only. The
    constructor raises ConfigError when the URL or the options are wrong, and asks the store nothing.
    """

    def __init__(
        self, url: str, *, clock: Clock, storage_options: StorageOptions | None = None, spare: float = SPARE_S
    ) -> None:
        self._url = url
        self._options = storage_options if callable(storage_options) else partial(dict, storage_options or {})
        self._opened = open_root(url, self._options(), make=True)
        self._clock = clock
        self._spare = spare
        self._names: dict[str, Names] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._probed = False

    @property
    def _root(self) -> Root:
        """The root as the options say now; as they said before while a credential cannot be read."""
        try:
            options = self._options()
        except ConfigError as error:
            log.warning("snapshot.options_unreadable", url=self._url, error=str(error), then="using those of before")
            return self._opened
        if options != self._opened.options:
            self._opened, self._names = open_root(self._url, options, make=True), {}
            log.info("snapshot.options_changed", url=self._url)
        return self._opened

    async def probe(self) -> str:
        """Prove that the root can hold versions: it is there, may be written, and honours create-only writes.

        The first write does it too. Raises ConfigError when it cannot, Retryable when it did not answer.
        """
        found = await asyncio.to_thread(require_create_only, self._root)
        self._probed = True
        return str(found)

    async def newest(self, dataset: str) -> VersionInfo | None:
        """As the port says."""
        return await asyncio.to_thread(self._of(dataset).newest)

    async def commit(
        self,
        dataset: str,
        changes: Sequence[StagedChange],
        label_config: str,
        splits: Splits | None = None,
        *,
        expected: int | None = None,
    ) -> VersionInfo | None:
        """As the port says. A cancelled caller is held until the commit under way has ended."""
        names = self._of(dataset)

        def work() -> VersionInfo | None:
            from syncd.snapshots.commit import Batch, commit

            return commit(names.root, names, Batch(changes, label_config, splits, expected), self._clock)

        return await self._write(dataset, work)

    async def versions(self, dataset: str) -> list[VersionInfo]:
        """As the port says."""
        return await asyncio.to_thread(self._of(dataset).all)

    async def find(self, dataset: str, name: str) -> VersionInfo:
        """As the port says."""
        return await asyncio.to_thread(self._of(dataset).find, name)

    async def tag(self, dataset: str, tag: str, number: int, *, by: str = "", expected: int | None = None) -> None:
        """As the port says. `latest` cannot be set: it follows the newest version."""
        await self._move(dataset, Move(tag, number, by, expected))

    async def untag(self, dataset: str, tag: str, *, by: str = "", expected: int | None = None) -> None:
        """As the port says."""
        await self._move(dataset, Move(tag, None, by, expected))

    async def _move(self, dataset: str, asked: Move) -> None:
        check_tag(asked.tag)
        names, at = self._of(dataset), self._clock.now()
        await self._write(dataset, lambda: move(names, asked, at))

    async def tags(self, dataset: str) -> dict[str, int]:
        """As the port says."""
        return await asyncio.to_thread(self._of(dataset).tags)

    async def tag_moves(self, dataset: str, after: int = 0) -> list[TagMove]:
        """As the port says."""
        return await asyncio.to_thread(self._of(dataset).ledger.moves, after)

    async def collect_garbage(self, dataset: str, keep: Retention, *, dry_run: bool = False) -> Collected:
        """As the port says. The bytes are those that come free now: what is younger than `spare` waits."""
        names, now = self._of(dataset), self._clock.now()

        def work() -> Collected:
            from syncd.snapshots.garbage import Collection

            collection = Collection(names.root, names, keep, now, self._spare)
            return collection.plan() if dry_run else collection.run()

        return await (asyncio.to_thread(work) if dry_run else self._write(dataset, work))

    async def restore(self, dataset: str, number: int, by: str = "") -> VersionInfo | None:
        """As the port says."""
        names = self._of(dataset)

        def work() -> VersionInfo | None:
            from syncd.snapshots.restore import restore

            return restore(names.root, names, number, by, self._clock)

        return await self._write(dataset, work)

    async def maintain(self, dataset: str) -> bool:
        """As the port says."""
        return await self._write(dataset, lambda: self._maintain(dataset))

    def _maintain(self, dataset: str) -> bool:
        if self._of(dataset).newest() is None:
            return False
        from syncd.snapshots.compaction import compact
        from syncd.snapshots.table import Table

        table = Table.open(self._root, dataset)
        return table is not None and compact(self._root, table)

    async def verify(self, dataset: str, *numbers: int) -> list[Damage]:
        """As the port says."""
        wanted = numbers or tuple(await asyncio.to_thread(self._of(dataset).numbers))
        return await asyncio.to_thread(verify, self._root, dataset, wanted) if wanted else []

    async def rows(self, dataset: str, number: int) -> list[Row]:
        """As the port says."""
        return await asyncio.to_thread(lambda: self._version(dataset, number).rows())

    async def pages(self, dataset: str, number: int) -> AsyncIterator[Sequence[Row]]:
        """As the port says."""
        pages = (await asyncio.to_thread(self._version, dataset, number)).pages()
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            yield page

    async def diff(self, dataset: str, before: int, after: int) -> Diff:
        """As the port says."""
        return await asyncio.to_thread(self._diff, dataset, before, after)

    def _diff(self, dataset: str, before: int, after: int) -> Diff:
        from syncd.snapshots.diff import diff

        old = self._version(dataset, before) if before else None
        return diff(old, self._version(dataset, after))

    def _of(self, dataset: str) -> Names:
        root = self._root
        return self._names.setdefault(dataset, Names(root, dataset))

    def _version(self, dataset: str, number: int) -> "Table":
        from syncd.snapshots.table import open_version

        names = self._of(dataset)
        return open_version(names.root, names.require(number))

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
