"""The jobs that repeat: reconciling, webhooks, upkeep of snapshots, announcing, gauges and the watchdog."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from syncd.domain.errors import SyncdError
from syncd.flows.collect import schedule_snapshot
from syncd.flows.context import Dataset
from syncd.flows.reconcile import Caution, Course, Pace, reconcile_changes, reconcile_objects, reconcile_tasks
from syncd.ports import WebhookStatus
from syncd.runtime.metrics import (
    DEGRADED,
    RECONCILE_FAILURES,
    count_found,
    count_look,
    show_backlog,
    show_datasets,
)
from syncd.runtime.supervisor import notify, watchdog_interval
from syncd.runtime.tracing import tracer
from syncd.service.assembly import Assembly
from syncd.service.triggers import remove_old_logs

log = structlog.get_logger()

KEEP_S = 5.0
SHOW_S = 15.0
"""Between two looks at what each dataset has open: it costs two small queries a dataset."""
AFTER_FAILURE_S = 15.0
OCCUPIED_S = 1.0
"""After how long to ask again for what another daemon is at."""
MAINTAIN_S = 120.0
COLLECT_S = 86400.0
PRUNE_S = 3600.0
GONE_KEPT_S = 15 * 86400.0
"""How long a deletion is remembered against late events: longer than any queue keeps one (SQS: 14 days at most)."""


@dataclass(frozen=True)
class _Look:
    """What is done for a dataset again and again: `every` so many seconds, and when `wake` is set."""

    dataset: str
    name: str
    run: Callable[[], Awaitable[None]]
    every: Callable[[], float]
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Upkeep:
    """What is done again and again for every dataset, and what wakes it up early."""

    def __init__(self, parts: Assembly) -> None:
        self._parts = parts
        self._caution = Caution(retire_limit=parts.config.reconcile.retire_limit)
        self._wake = {name: asyncio.Event() for name in (*parts.datasets, *parts.config.templates)}
        self._wake_changes = {name: asyncio.Event() for name in parts.datasets}
        self._webhooks: dict[str, WebhookStatus] = {}
        self._refused_at: dict[str, float] = {}
        self._shown_at = 0.0

    def rescan(self, source: str) -> None:
        """A source says that it lost events, or that it listens now: list its buckets soon."""
        config = self._parts.config
        for name, dataset in (*config.datasets.items(), *config.templates.items()):
            if source in dataset.sources and name in self._wake:
                self._wake[name].set()

    def add(self, dataset: str) -> None:
        """A dataset was taken up: its first look at the buckets is due."""
        self._wake[dataset], self._wake_changes[dataset] = asyncio.Event(), asyncio.Event()
        self._wake[dataset].set()

    async def search(self, template: str, run: Callable[[], Awaitable[None]]) -> None:
        """Search a template's buckets whenever a source asks for a look at them, and on a timer."""
        every, wake = self._parts.config.reconcile.every, self._wake[template]
        asked = await _wait(wake, every)
        await self._repeat(_Look(template, "search", run, lambda: every, wake), asked=asked)

    def look_for_changes(self, dataset: str) -> None:
        """An event spoke of an annotation that we do not know: read what changed soon."""
        self._wake_changes[dataset].set()

    async def objects(self, dataset: Dataset) -> None:
        """List the dataset's buckets: whenever a source asks for it, and on a timer."""
        every = self._parts.config.reconcile.every
        wake = self._wake[dataset.name]
        asked = await _wait(wake, every)  # a source asks for the first look once it listens
        await self._repeat(
            _Look(dataset.name, "objects", partial(self._objects, dataset), lambda: every, wake), asked=asked
        )

    async def _objects(self, dataset: Dataset) -> None:
        """Every bucket gets its turn, also when another one cannot be listed.

        One whose look was cut off by the last process is looked at from there on, and then as a whole: the first part
        was seen before the source listened.
        """
        config = self._parts.config.reconcile
        course = Course(Pace(rate=config.rate, most_waiting=config.most_waiting), looker="daemon")
        failures: list[SyncdError] = []
        for store in dataset.stores.values():
            try:
                findings = await reconcile_objects(dataset, store, self._caution, course)
            except SyncdError as error:
                failures.append(error)
            else:
                counts = {"new": findings.new, "changed": findings.changed, "gone": findings.gone}
                log.info("bucket.reconciled", dataset=dataset.name, seen=findings.seen, **counts)
                count_found(dataset.name, counts)
                if findings.resumed:
                    self._wake[dataset.name].set()
        if failures:
            raise failures[0]

    async def changes(self, dataset: Dataset) -> None:
        """Read what changed in the annotator: often where it does not call us, else as a safety net."""
        config = self._parts.config.reconcile

        def every() -> float:
            status = self._webhooks.get(dataset.name)
            return config.every if status and status.registered else config.poll_every

        wake = self._wake_changes[dataset.name]
        await self._repeat(_Look(dataset.name, "changes", partial(self._changes, dataset), every, wake), asked=True)

    async def _changes(self, dataset: Dataset) -> None:
        """The look is the safety net of the webhook, so trouble with the one does not keep the other away."""
        try:
            await self._ensure_webhook(dataset)
        except SyncdError as error:
            self._webhooks.pop(dataset.name, None)
            log.warning("webhook.not_registered", dataset=dataset.name, error=str(error))
        await reconcile_changes(dataset, self._caution)

    async def _ensure_webhook(self, dataset: Dataset) -> None:
        """Registered at the start and looked for again with every safety look: somebody may have removed it."""
        config = self._parts.config
        known = self._webhooks.get(dataset.name)
        refused_lately = self._parts.clock.now() - self._refused_at.get(dataset.name, 0.0) < config.reconcile.every
        if refused_lately:
            return
        remote = await dataset.remote()
        if not config.datasets[dataset.name].webhook:
            if known is None:  # one of ours from before
                await remote.remove_webhook(self._parts.webhook_path(dataset.name))
                self._webhooks[dataset.name] = WebhookStatus(registered=False)
            return
        secret = await self._parts.webhook_secret(dataset.name)
        url = self._parts.webhook_url(dataset.name)
        status = await remote.ensure_webhook(url, secret)
        self._webhooks[dataset.name] = status
        if not status.registered:
            self._refused_at[dataset.name] = self._parts.clock.now()
            polling = config.reconcile.poll_every
            log.warning("webhook.refused", dataset=dataset.name, reason=status.reason, polling_every_s=polling)
        elif known is None:
            log.info("webhook.registered", dataset=dataset.name, url=url)

    async def tasks(self, dataset: Dataset) -> None:
        """Scan all task ids, for what no event and no cursor tells: deleted and doubled tasks."""
        every = self._parts.config.reconcile.deletions_every
        await self._repeat(_Look(dataset.name, "tasks", partial(self._tasks, dataset), lambda: every))

    async def _tasks(self, dataset: Dataset) -> None:
        findings = await reconcile_tasks(dataset, self._caution)
        await schedule_snapshot(dataset)  # rows staged outside a flow, by `dataset delete`
        counts = {"gone": findings.gone, "doubled": findings.doubled, "orphaned": findings.orphaned}
        log.info("tasks.reconciled", dataset=dataset.name, seen=findings.seen, **counts)
        count_found(dataset.name, {f"task_{found}": count for found, count in counts.items()})

    async def versions(self, dataset: Dataset) -> None:
        """Announce versions and tag moves: after each commit, and on a timer what other processes made."""
        announcer = self._parts.announcers[dataset.name]
        every = self._parts.config.deliveries.look_every
        await self._repeat(_Look(dataset.name, "versions", announcer.look, lambda: every, announcer.wake), asked=True)

    async def prune(self) -> None:
        """Forget deliveries that are over, the output of old commands, and deletions, once they are old."""
        while True:
            try:
                await self._prune()
            except (SyncdError, OSError) as error:
                log.warning("state.not_pruned", error=str(error))
            await asyncio.sleep(PRUNE_S)

    async def _prune(self) -> None:
        parts, now = self._parts, self._parts.clock.now()
        if deliveries := await parts.state.prune_deliveries(now - parts.config.deliveries.keep):
            log.info("deliveries.pruned", deliveries=deliveries)
        if deletions := await parts.state.prune_gone(now - GONE_KEPT_S):
            log.info("deletions.pruned", deletions=deletions)
        await asyncio.to_thread(remove_old_logs, parts.config)

    async def _repeat(self, look: "_Look", *, asked: bool = False) -> None:
        """Look again and again; trouble is logged and tried again soon. `asked`: at once, whoever looked lately."""
        while True:
            look.wake.clear()
            try:
                wait = await self._in_turn(look, asked=asked)
            except SyncdError as error:
                wait = min(AFTER_FAILURE_S, look.every())
                RECONCILE_FAILURES.labels(look.name).inc()
                log.warning("reconcile.failed", dataset=look.dataset, look=look.name, error=str(error))
            asked = await _wait(look.wake, wait or OCCUPIED_S) or (asked and not wait)

    async def _in_turn(self, look: "_Look", *, asked: bool) -> float:
        """Look, if it is due and no other daemon is at it; after how long to come again. 0: another is at it."""
        replica, what = self._parts.replica, f"{look.name}:{look.dataset}"
        async with replica.turn(what) as ours:
            if not ours:
                return 0.0
            if not asked and (left := await replica.due_in(what, look.every())) > 0:
                return left
            with tracer().span(f"look for {look.name}", {"syncd.dataset": look.dataset}):
                await look.run()
            await replica.done(what)
            count_look(look.dataset, look.name, self._parts.clock.now())
            return look.every()

    async def snapshots(self, dataset: Dataset) -> None:
        """Compact the table where small commits have gathered, and collect old versions once a day if configured."""
        await _wait(asyncio.Event(), MAINTAIN_S)
        await self._repeat(_Look(dataset.name, "snapshots", partial(self._snapshots, dataset), lambda: MAINTAIN_S))

    async def _snapshots(self, dataset: Dataset) -> None:
        store, now = self._parts.snapshots[dataset.name], self._parts.clock.now()
        if await store.maintain(dataset.name):
            log.info("snapshot.compacted", dataset=dataset.name)
        keep = self._parts.config.datasets[dataset.name].snapshots.retention()
        collected_at = f"collected:{dataset.name}"
        if keep is None or now - float(await self._parts.state.get(collected_at) or 0.0) < COLLECT_S:
            return
        collected = await store.collect_garbage(dataset.name, keep)
        await self._parts.state.put(collected_at, repr(now))
        log.info(
            "snapshot.garbage_collected", dataset=dataset.name, versions=len(collected.versions), bytes=collected.bytes
        )

    async def keep(self) -> None:
        """Gauges for the metrics page and, as long as the state answers, a sign of life for the service manager."""
        every = min(KEEP_S, watchdog_interval() or KEEP_S)
        while True:
            try:
                await self._parts.replica.present()
                show_backlog(await self._parts.state.backlog(), self._parts.clock.now())
                await self._show_datasets()
                notify("WATCHDOG=1")
            except SyncdError as error:
                log.warning("state.unwell", error=str(error))
            await asyncio.sleep(every)

    async def _show_datasets(self) -> None:
        state, now = self._parts.state, self._parts.clock.now()
        for name, source in self._parts.sources.items():
            DEGRADED.labels(name).set(bool(getattr(source, "degraded", "")))
        if now - self._shown_at < SHOW_S:
            return
        self._shown_at = now
        names = list(self._parts.datasets)
        show_datasets([(n, len(await state.intents(n)), await state.staged_count(n)) for n in names])


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether it was set, or only the time is over."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
