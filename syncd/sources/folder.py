"""A local folder as a source of events: what is created, rewritten, renamed or deleted in it.

Made by the service under the type `folder`. A closed or renamed file is delivered at once, one that is still
being written when it has been quiet for `settle` seconds. Whatever may have been missed (a queue overflow, a
folder that went away and came back) asks for a rescan, and so does every start, after the watch stands.
Limits: 100,000 keys wait at most; on Linux one inotify watch per directory.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.domain.model import ObjectRef
from syncd.domain.routing import Selection, bucket_url
from syncd.ports import Clock, Deliver, ObjectStore, Seen, Stores
from syncd.sources.feed import Feed
from syncd.sources.pending import Waiting
from syncd.sources.watching import Watch

log = structlog.get_logger()

BATCH = 1_000
CHECK_EVERY = 1.0
LOOK_AGAIN = 5.0
FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0


def _absolute(path: Path) -> Path:
    bucket_url(str(path))
    return path


class FolderOptions(BaseModel):
    """The options of a source of type `folder`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[Path, AfterValidator(_absolute)] = Field(description="The folder, as an absolute path.")
    include: tuple[str, ...] = Field((), description="Globs of the keys wanted, such as **/*.jpg. Default: all.")
    exclude: tuple[str, ...] = Field((), description="Globs of keys not wanted; wins over include. Default: none.")
    hidden: bool = Field(False, description="Whether names starting with a dot count. Default: false.")
    settle: float = Field(
        0.5, gt=0, description="Seconds a file must stay the same when nobody tells that it is finished. Default: 0.5."
    )
    polling: bool = Field(
        False, description="Poll instead of waiting for notifications: for network file systems. Default: false."
    )
    poll_every: float = Field(5.0, gt=0, description="Seconds between two polls of the whole folder. Default: 5.")


class FolderSource:
    """Watches one folder. `degraded`: why it polls although it was not asked to; empty while all is well."""

    Options = FolderOptions

    def __init__(self, name: str, options: FolderOptions, *, stores: Stores, clock: Clock) -> None:
        self.name = name
        self.selection = Selection(options.include, options.exclude, hidden=options.hidden, origin=f"sources.{name}")
        self.degraded = ""
        self._options = options
        self._bucket = bucket_url(str(options.path))
        self._store = stores.folder(self._bucket, hidden=options.hidden, settle=options.settle)
        self.stores: Mapping[str, ObjectStore] = {self._bucket: self._store}
        self._clock = clock

    async def check(self) -> None:
        """As the port says."""
        if not await asyncio.to_thread(self._options.path.is_dir):
            found = f"{self._options.path} is not there or is no directory"
            raise ConfigError([Problem(f"sources.{self.name}.path", found, "an existing folder; is its disk mounted?")])

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says. ConfigError when the folder is not there at the start."""
        await self.check()
        delay = FIRST_DELAY
        while True:
            feed = Feed(self.selection, self._clock)
            stood = await self._watch(feed, deliver, rescan)
            if feed.at_limit and not self.degraded:
                self._degrade()
                continue
            delay = FIRST_DELAY if stood else min(2 * delay, LONGEST_DELAY)
            log.warning("folder.watch_lost", source=self.name, path=str(self._options.path), retry_in=delay)
            await self._clock.sleep(delay)

    def _degrade(self) -> None:
        self.degraded = (
            f"{self._options.path} is polled every {self._options.poll_every:g} s, because the kernel grants no more "
            "inotify watches; raise fs.inotify.max_user_watches (sysctl) and start syncd again"
        )
        log.warning("folder.watch_degraded", source=self.name, reason=self.degraded)

    async def _watch(self, feed: Feed, deliver: Deliver, rescan: Callable[[], None]) -> bool:
        """Watch until the watch falls; returns whether it ever stood."""
        polling = bool(self._options.polling or self.degraded)
        watch = Watch(self._options.path, feed, poll_every=self._options.poll_every if polling else None)
        try:
            if not await self._started(watch):
                return False
            log.info("folder.watch_started", source=self.name, path=str(self._options.path), polling=polling)
            rescan()
            await self._pump(watch, feed, deliver, rescan)
        finally:
            await asyncio.to_thread(watch.stop)
        return True

    async def _started(self, watch: Watch) -> bool:
        try:
            await asyncio.to_thread(watch.start)
        except OSError as error:
            log.info("folder.watch_failed", source=self.name, reason=error.strerror)
            return False
        return True

    async def _pump(self, watch: Watch, feed: Feed, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """Carry from the watch to `deliver`; returns when the watch has fallen."""
        check = self._clock.now() + CHECK_EVERY
        while not feed.has_ended:
            await feed.wait(until=check)
            if reason := feed.take_loss():
                log.warning("folder.events_lost", source=self.name, reason=reason)
                rescan()
            await self._carry(feed, deliver)
            if self._clock.now() >= check:
                if not await asyncio.to_thread(watch.stands):
                    return
                check = self._clock.now() + CHECK_EVERY

    async def _carry(self, feed: Feed, deliver: Deliver) -> None:
        """Look at the keys that are due and deliver those that are finished; the others wait on."""
        now = self._clock.now()
        taken = feed.pending.take(now, limit=BATCH)
        looks = await self._store.looks(taken.keys())
        batch: list[Seen] = []
        for key, waiting in taken.items():
            seen = looks[key]
            if isinstance(seen, Retryable):
                log.warning("folder.look_failed", source=self.name, key=key, reason=str(seen))
                feed.pending.put(key, Waiting(now + LOOK_AGAIN, waiting.finished))
            elif waiting.finished or seen.gone or seen.etag == waiting.etag:
                batch.append((ObjectRef(self._bucket, key), replace(seen, settled=True)))
            else:
                feed.pending.put(key, Waiting(now + self._options.settle, finished=False, etag=seen.etag))
        if batch:
            await self._deliver(batch, deliver)

    async def _deliver(self, batch: list[Seen], deliver: Deliver) -> None:
        """Again until it is taken. What happens meanwhile gathers in the feed."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            wait=_wait,
            sleep=self._clock.sleep,
            before_sleep=lambda state: log.warning(
                "folder.delivery_failed", source=self.name, events=len(batch), attempt=state.attempt_number
            ),
        )
        await retrying(deliver, batch)


_exponential = wait_random_exponential(multiplier=FIRST_DELAY, max=LONGEST_DELAY)


def _wait(state: RetryCallState) -> float:
    """As long as the other side wishes, else exponentially."""
    error = state.outcome.exception() if state.outcome else None
    wish = error.retry_after if isinstance(error, Retryable) else None
    return _exponential(state) if wish is None else wish
