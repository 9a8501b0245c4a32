"""Versions and tag moves into deliveries: what is there now against how far each trigger has looked.

Called by `service` after each commit and on a timer. It derives everything from the snapshot store and not from the
commit that made a version: what another process named or tagged, or what was named just before a crash, is found at
the next look. Deliveries, their marks and the trigger's cursor are written in one transaction, so an event becomes
one delivery, once. A trigger without a cursor is new: it starts at the present.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog
from pydantic import TypeAdapter

from syncd.domain.deliveries import Delivery
from syncd.domain.errors import Rejected, SyncdError
from syncd.domain.model import JsonObject, VersionInfo
from syncd.domain.triggers import Progress, tag_event, version_event
from syncd.flows.context import Dataset
from syncd.ports import SnapshotStore, TagMove, Trigger

log = structlog.get_logger()

_PROGRESS: TypeAdapter[Progress] = TypeAdapter(Progress)


@dataclass(frozen=True, slots=True)
class _World:
    """What one look found: all versions, oldest first, and the tag moves that some trigger has not seen."""

    versions: Sequence[VersionInfo]
    moves: Sequence[TagMove]

    def version(self, number: int | None) -> VersionInfo | None:
        return next((version for version in self.versions if version.number == number), None)


@dataclass
class Announcer:
    """Announces what happens to one dataset's snapshots. `table`: URI of its table."""

    dataset: Dataset
    snapshots: SnapshotStore
    table: str
    triggers: Sequence[Trigger]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be something new."""
    _labels: dict[int, Mapping[str, int]] = field(default_factory=dict)
    _begun: bool = False
    _beginning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def begin(self) -> None:
        """Have new triggers start at the present: called before the first commit, so that it is announced."""
        async with self._beginning:  # nobody commits while another one still looks at what is the present
            if self._begun:
                return
            async with self.dataset.by_itself():
                await self._begin()
            self._begun = True

    async def _begin(self) -> None:
        for trigger in self.triggers:
            if await self._progress(trigger) is None:
                await self._start(trigger)

    async def _start(self, trigger: Trigger) -> None:
        """In this order: who began meanwhile did so before its first commit, and that one is not the present then."""
        present = await self._present()
        if await self._progress(trigger) is None:
            await self._save(trigger, present, [])

    async def look(self) -> None:
        """Announce what is new. Each trigger gets its turn; then the first trouble of any of them is raised."""
        await self.begin()
        progress = {trigger.name: await self._progress(trigger) or Progress() for trigger in self.triggers}
        seen = min((known.serial for known in progress.values()), default=0)
        name = self.dataset.name
        world = _World(await self.snapshots.versions(name), await self.snapshots.tag_moves(name, seen))
        failures: list[SyncdError] = []
        for trigger in self.triggers:
            try:
                await self._look(trigger, progress[trigger.name], world)
            except SyncdError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    async def _look(self, trigger: Trigger, before: Progress, world: _World) -> None:
        after, deliveries = await self._tags(trigger, before, world)
        if trigger.interest.versions:
            after, more = await self._versions(trigger, after, world)
            deliveries += more
        else:
            after = replace(after, version=max((v.number for v in world.versions), default=after.version))
        if after != before or deliveries:
            await self._save(trigger, after, deliveries)

    async def _tags(self, trigger: Trigger, before: Progress, world: _World) -> tuple[Progress, list[Delivery]]:
        """A tag that was taken away, or one whose version is gone meanwhile, points at nothing to act upon."""
        moves = [move for move in world.moves if move.serial > before.serial]
        deliveries: list[Delivery] = []
        for move in moves:
            version = world.version(move.number)
            if version and trigger.interest.in_tag(move.tag):
                id_ = self._id(f"tag-{move.serial}", trigger)
                event = tag_event(id_, self.table, move, version, await self._counts(version.number))
                deliveries.append(self._delivery(event, trigger))
        return replace(before, serial=max((m.serial for m in moves), default=before.serial)), deliveries

    async def _versions(self, trigger: Trigger, before: Progress, world: _World) -> tuple[Progress, list[Delivery]]:
        """Every new version fires; under conditions only the newest may."""
        new = [version for version in world.versions if version.number > before.version]
        newest = world.versions[-1] if world.versions else None
        if newest is None or newest.number <= before.fired:
            return before, []
        changed = before.changed + sum(v.inserted + v.updated + v.deleted for v in new)
        after = replace(before, version=max(before.version, newest.number), changed=changed)
        firing = [newest] if trigger.conditions.any else new
        held = await self._held(trigger, after, newest)
        if held and held == before.held and not new:
            return before, []
        deliveries = [self._delivery(await self._event(v, trigger), trigger, held) for v in firing]
        if held:
            log.info("version.passed_over", dataset=newest.dataset, version=newest.name, trigger=trigger.name, why=held)
            return replace(after, held=held), deliveries
        now = self.dataset.clock.now()
        return replace(after, fired=newest.number, fired_at=now, changed=0, held=""), deliveries

    async def _held(self, trigger: Trigger, progress: Progress, newest: VersionInfo) -> str:
        """Why the newest version may not fire now; what costs a question is asked last."""
        wanted = trigger.conditions
        reason = wanted.against_count(progress.changed)
        reason = reason or wanted.against_time(progress.fired_at, self.dataset.clock.now())
        if not reason and wanted.about_labels:
            reason = wanted.against_balance(await self._counts(newest.number), self.dataset.config.labels)
        if not reason and wanted.min_labelled_share:
            remote = await self.dataset.remote()
            reason = wanted.against_share(await remote.stats())
        return reason

    async def _counts(self, number: int) -> Mapping[str, int]:
        """How often each label was given in a version; empty where it is collected meanwhile. Read once."""
        if number not in self._labels:
            try:
                diff = await self.snapshots.diff(self.dataset.name, number, number)
            except Rejected:
                return {}
            self._labels = {number: diff.after.labels}  # the newest is asked for again and again
        return self._labels[number]

    async def _event(self, version: VersionInfo, trigger: Trigger) -> JsonObject:
        id_ = self._id(version.name, trigger)
        return version_event(id_, self.table, version, await self._counts(version.number))

    def _id(self, what: str, trigger: Trigger) -> str:
        return f"{self.dataset.name}/{what}/{trigger.name}"

    def _delivery(self, event: JsonObject, trigger: Trigger, held: str = "") -> Delivery:
        now = self.dataset.clock.now()
        return Delivery(event["id"], self.dataset.name, trigger.name, event, now, passed_over=held or None)

    # ------------------------------------------------------------ cursors

    async def _progress(self, trigger: Trigger) -> Progress | None:
        text = await self.dataset.state.get(self._cursor(trigger))
        return None if text is None else _PROGRESS.validate_json(text)

    async def _present(self) -> Progress:
        versions = await self.snapshots.versions(self.dataset.name)
        moves = await self.snapshots.tag_moves(self.dataset.name)
        newest = versions[-1].number if versions else 0
        return Progress(version=newest, serial=moves[-1].serial if moves else 0, fired=newest)

    async def _save(self, trigger: Trigger, progress: Progress, deliveries: Sequence[Delivery]) -> None:
        value = _PROGRESS.dump_json(progress).decode()
        made = await self.dataset.state.announce(deliveries, cursor=self._cursor(trigger), value=value)
        events = {delivery.id: delivery.event for delivery in deliveries}
        for id_ in made:
            log.info(
                "version.announced", delivery=id_, type=events[id_]["type"], version=events[id_]["data"]["version"]
            )

    def _cursor(self, trigger: Trigger) -> str:
        return f"trigger:{trigger.name}:{self.dataset.name}"
