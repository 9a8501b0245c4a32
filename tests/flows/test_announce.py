"""Versions and tag moves into deliveries, and deliveries to their target: each once, whatever goes wrong in between."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from syncd.domain.deliveries import Answer, Delivery, Status, Verdict
from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import Claim, DatasetStats, JsonObject, Kind, Settlement, VersionInfo
from syncd.domain.triggers import Conditions, Interest
from syncd.flows.announce import Announcer
from syncd.flows.deliver import Deliverer
from syncd.ports import Retention, Trigger
from syncd.runtime.retry import Backoff
from syncd.runtime.worker import Pace, Workers
from tests.flows.world import NAME, Crash, World
from tests.snapshots.rows import gone, put

TABLE = "mem://snapshots/photos"
DAY = 86_400.0


class Recorder:
    """A target that keeps what it got; it fails in the ways `answers` names, in order, and then takes everything."""

    def __init__(self) -> None:
        self.got: list[JsonObject] = []
        self.answers: list[str] = []
        self.attempts: int | None = None
        self.takes = 0.0
        self.world: World

    async def check(self) -> None:
        """Nothing to check."""

    async def close(self) -> None:
        """Nothing to close."""

    async def deliver(self, event: JsonObject) -> Answer:
        answer = self.answers.pop(0) if self.answers else "fine"
        if answer == "crash-before":
            raise Crash
        self.got.append(event)
        self.world.clock.advance(self.takes)
        match answer:
            case "down":
                return Answer(Verdict.FAILED, "no connection")
            case "slow":
                return Answer(Verdict.FAILED, "503", retry_after=600.0)
            case "hasty":
                return Answer(Verdict.FAILED, "503", retry_after=0.1)
            case "gone":
                return Answer(Verdict.REFUSED, "410 Gone")
            case "busy":
                return Answer(Verdict.BUSY, "it still runs")
            case "retryable":
                raise Retryable("the table did not answer")
            case "rejected":
                raise Rejected("does not fit")
            case "crash-after":
                raise Crash
        return Answer(Verdict.DELIVERED, "200 OK")

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.got]


class Desk:
    """A dataset in memory with one trigger; versions are committed straight into its snapshots."""

    def __init__(self, world: World, on: Sequence[str] = ("version",), **conditions: Any) -> None:
        self.world = world
        self.target = Recorder()
        self.target.world = world
        self.trigger = Trigger("retrain", Interest.of(on), Conditions(**conditions), self.target)
        self.restart()

    def restart(self) -> None:
        """Another process life."""
        self.announcer = Announcer(self.world.dataset, self.world.snapshots, TABLE, [self.trigger])

    async def version(self, *ids: str, labels: tuple[str, ...] = ("cat",)) -> None:
        """The next version, with these annotations new."""
        changes = [put(id_, labels=labels) for id_ in ids]
        assert await self.world.snapshots.commit(NAME, changes, "config")

    async def look(self) -> list[str]:
        """Announce, and work until nothing is due: what the target got meanwhile."""
        await self.announcer.look()
        return await self.work()

    async def work(self, seconds: float = 0) -> list[str]:
        before = len(self.target.got)
        until = self.world.clock.now() + seconds
        workers = self.workers()
        while True:
            try:
                busy = await workers.start_one()
                await workers.finish()
            except Crash:
                self.world.clock.advance(61)
                workers, busy = self.workers(), True
            if not busy and self.world.clock.now() >= until:
                return self.target.ids[before:]
            if not busy:
                self.world.clock.advance(max(1.0, seconds / 2000))

    def workers(self) -> Workers:
        """As `service` makes them."""
        backoff = Backoff(5, 3600, DAY, outlasts_outages=False)
        deliverer = Deliverer(self.world.state, self.world.clock, {f"{NAME}/retrain": self.trigger}, backoff.delay)

        async def unused(_: str, claims: Sequence[Claim]) -> list[Settlement]:
            raise AssertionError(claims)

        flows = {**dict.fromkeys(Kind, unused), Kind.DELIVERY: deliverer.deliver}
        backoffs = {**dict.fromkeys(Kind, Backoff()), Kind.DELIVERY: backoff}
        return Workers(self.world.state, flows, self.world.clock, Pace(lease=60), backoffs)

    async def the(self, name: str) -> Delivery:
        found = await self.world.state.delivery(f"{NAME}/{name}/retrain")
        assert found
        return found


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


# ---------------------------------------------------------------- versions


async def test_a_new_trigger_starts_at_the_present(world: World) -> None:
    desk = Desk(world, ["version", "tag"])
    await desk.version("1")
    await world.snapshots.tag(NAME, "production", 1)
    assert await desk.look() == []
    await desk.version("2")
    assert await desk.look() == ["photos/v2/retrain"]


async def test_a_commit_waits_until_the_trigger_knows_the_present(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that is slow to begin must not take the first version for the past."""
    gate, versions, first = asyncio.Event(), desk.world.snapshots.versions, True

    async def slow(dataset: str) -> list[VersionInfo]:
        nonlocal first
        if first:
            first = False
            await gate.wait()
        return await versions(dataset)

    async def commit() -> None:
        await desk.announcer.begin()
        await desk.version("1")

    monkeypatch.setattr(desk.world.snapshots, "versions", slow)
    looking, committing = asyncio.create_task(desk.announcer.look()), asyncio.create_task(commit())
    await asyncio.wait({committing}, timeout=0.1)
    gate.set()
    await asyncio.gather(looking, committing)
    assert await desk.look() == ["photos/v1/retrain"]


async def test_every_version_is_announced_once_in_order_also_those_of_other_processes(desk: Desk) -> None:
    await desk.announcer.begin()
    for n in range(3):
        await desk.version(str(n))
    assert await desk.look() == ["photos/v1/retrain", "photos/v2/retrain", "photos/v3/retrain"]
    assert await desk.look() == []
    desk.restart()
    assert await desk.look() == []


async def test_the_event_tells_what_is_in_the_version(desk: Desk) -> None:
    await desk.announcer.begin()
    await desk.version("1", "2")
    await desk.version("3", labels=("dog", "cat"))
    await desk.look()
    data = desk.target.got[-1]["data"]
    assert data["uri"] == f"{TABLE}@v2"
    assert (data["rows"], data["inserted"], data["labels"]) == (3, 1, {"cat": 3, "dog": 1})
    assert desk.target.got[-1]["source"] == TABLE


async def test_a_version_named_by_a_commit_that_then_crashed_is_announced(desk: Desk) -> None:
    await desk.announcer.begin()
    desk.world.snapshots.faults = ["crash-after"]
    with pytest.raises(Crash):
        await desk.version("1")
    desk.restart()
    assert await desk.look() == ["photos/v1/retrain"]


async def test_a_version_that_was_collected_before_anybody_looked_is_not_announced(desk: Desk) -> None:
    await desk.announcer.begin()
    for n in range(3):
        await desk.version(str(n))
    desk.world.clock.advance(10)
    await desk.world.snapshots.collect_garbage(NAME, Retention(versions=1, age=1))
    assert await desk.look() == ["photos/v3/retrain"]


# ---------------------------------------------------------------- tags


async def test_each_move_of_the_tag_is_announced(world: World) -> None:
    desk = Desk(world, ["tag:production"])
    await desk.announcer.begin()
    await desk.version("1")
    await desk.version("2")
    await world.snapshots.tag(NAME, "production", 1, by="ana")
    await world.snapshots.tag(NAME, "beta", 1)
    await world.snapshots.tag(NAME, "production", 2, by="ben")
    await world.snapshots.untag(NAME, "production")
    await desk.look()
    assert [(e["data"]["tag"], e["data"]["version"], e["data"]["moved_by"]) for e in desk.target.got] == [
        ("production", "v1", "ana"),
        ("production", "v2", "ben"),
    ]
    assert len(set(desk.target.ids)) == 2
    assert await desk.look() == []


async def test_a_trigger_that_comes_later_hears_of_no_earlier_move_though_another_is_behind(world: World) -> None:
    desk = Desk(world, ["tag"])
    await desk.announcer.begin()
    await desk.version("1")
    await world.snapshots.tag(NAME, "production", 1)
    desk.restart()
    later = Trigger("later", Interest.of(["tag"]), Conditions(), desk.target)
    desk.announcer.triggers = [desk.trigger, later]
    await desk.announcer.look()
    assert [one.trigger for one in await world.state.deliveries()] == ["retrain"]


async def test_a_tag_moves_whatever_the_conditions_for_versions_say(world: World) -> None:
    desk = Desk(world, ["version", "tag"], min_changed_rows=100)
    await desk.announcer.begin()
    await desk.version("1")
    await world.snapshots.tag(NAME, "production", 1)
    (id_,) = await desk.look()
    assert "/tag-" in id_


# ---------------------------------------------------------------- conditions


async def test_changes_add_up_over_versions_until_there_are_enough(world: World) -> None:
    desk = Desk(world, min_changed_rows=4)
    await desk.announcer.begin()
    await desk.version("1", "2")
    assert await desk.look() == []
    held = await desk.the("v1")
    assert (held.status, held.passed_over) == (
        Status.PASSED_OVER,
        "2 rows changed since it last fired, 4 are wanted",
    )
    assert await world.snapshots.commit(NAME, [gone("1"), put("2", labels=("dog",))], "config")
    assert await desk.look() == ["photos/v2/retrain"]
    await desk.version("3")
    assert await desk.look() == [], "the count starts anew"


async def test_what_comes_too_soon_fires_later_with_the_newest_version(world: World) -> None:
    desk = Desk(world, at_most_every=3600)
    await desk.announcer.begin()
    await desk.version("1")
    assert await desk.look() == ["photos/v1/retrain"]
    for n in (2, 3):
        await desk.version(str(n))
        assert await desk.look() == []
        assert ((await desk.the(f"v{n}")).passed_over or "").startswith("not before")
    world.clock.advance(3600)
    assert await desk.look() == ["photos/v3/retrain"]
    world.clock.advance(3600)
    fired = await world.state.get("trigger:retrain:photos")
    assert await desk.look() == [], "nothing is new"
    assert await world.state.get("trigger:retrain:photos") == fired


async def test_labels_must_be_balanced_as_the_version_has_them(world: World) -> None:
    desk = Desk(world, min_rows_per_label=2)
    await desk.announcer.begin()
    await desk.version("1", "2")
    assert await desk.look() == []
    assert (await desk.the("v1")).passed_over == "'dog' has 0 rows, 2 of each label are wanted"
    await desk.version("3", "4", labels=("dog",))
    assert await desk.look() == ["photos/v2/retrain"]


async def test_the_share_of_labelled_tasks_is_asked_of_the_annotator_until_it_is_reached(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(world, min_labelled_share=0.5)
    await world.open()
    stats = DatasetStats(4, 1, 1)

    async def counted() -> DatasetStats:
        return stats

    monkeypatch.setattr(world.faulty, "stats", counted, raising=False)
    await desk.announcer.begin()
    await desk.version("1")
    assert await desk.look() == []
    assert (await desk.the("v1")).passed_over == "1 of 4 tasks are labelled, 50% are wanted"
    stats = DatasetStats(4, 2, 2)
    assert await desk.look() == ["photos/v1/retrain"], "without another version"


async def test_one_trigger_in_trouble_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(world, min_labelled_share=0.5)
    await world.open()

    async def down() -> DatasetStats:
        raise Retryable("the annotator is down")

    monkeypatch.setattr(world.faulty, "stats", down, raising=False)
    other = Trigger("notify", Interest.of(["version"]), Conditions(), Recorder())
    desk.announcer.triggers = [desk.trigger, other]
    await desk.announcer.begin()
    await desk.version("1")
    with pytest.raises(Retryable):
        await desk.announcer.look()
    assert [one.id for one in await world.state.deliveries()] == ["photos/v1/notify"]


# ---------------------------------------------------------------- deliveries


@pytest.mark.parametrize("crash", ["crash-before", "crash-after"])
async def test_a_crash_around_the_sending_sends_the_same_event_again(desk: Desk, crash: str) -> None:
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = [crash]
    got = await desk.look()
    assert got == ["photos/v1/retrain"] * (1 if crash == "crash-before" else 2)
    assert desk.target.got[0] == desk.target.got[-1]
    assert (await desk.the("v1")).status is Status.DELIVERED


async def test_an_endpoint_that_is_down_and_comes_back_gets_every_event(desk: Desk) -> None:
    await desk.announcer.begin()
    for n in range(3):
        await desk.version(str(n))
    desk.target.answers = ["down"] * 8
    await desk.look()
    await desk.work(7200)
    delivered = {f"photos/v{n}/retrain" for n in (1, 2, 3)}
    assert set(desk.target.ids[8:]) == delivered
    assert len(desk.target.ids) == 11, "each was taken once"
    log = (await desk.the("v1")).attempts
    assert [one.verdict for one in log][-1] is Verdict.DELIVERED
    assert {one.outcome for one in log[:-1]} == {"no connection"}


async def test_an_endpoint_that_stays_dead_is_given_up_after_a_day_and_can_be_tried_again_by_hand(desk: Desk) -> None:
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = ["down"] * 1000
    await desk.look()
    await desk.work(1.5 * DAY)
    failed = await desk.the("v1")
    assert failed.status is Status.FAILED
    took = failed.attempts[-1].at - failed.attempts[0].at
    assert DAY < took < DAY + 2 * 3600
    assert 20 < len(failed.attempts) < 50, "a day of tries fits into the log"
    desk.target.answers = []
    assert await desk.world.state.redeliver([failed.id]) == 1
    assert await desk.work() == [failed.id]
    assert (await desk.the("v1")).status is Status.DELIVERED
    assert await desk.world.state.dead_letters() == []


@pytest.mark.parametrize("answer", ["gone", "rejected"])
async def test_a_refusal_is_given_up_at_once(desk: Desk, answer: str) -> None:
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = [answer]
    await desk.look()
    assert await desk.work(DAY) == []
    assert (await desk.the("v1")).status is Status.FAILED
    assert len(await desk.world.state.dead_letters(NAME)) == 1


async def test_one_event_that_is_never_taken_does_not_starve_the_others(desk: Desk) -> None:
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = ["down"] * 4
    await desk.look()
    for n in range(2, 6):
        await desk.version(str(n))
    await desk.announcer.look()
    await desk.work(60)
    assert set(desk.target.ids) >= {f"photos/v{n}/retrain" for n in range(2, 6)}


async def test_the_targets_wish_to_wait_is_granted(desk: Desk) -> None:
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = ["slow"]
    await desk.look()
    assert await desk.work(590) == []
    assert await desk.work(20) == ["photos/v1/retrain"]


async def test_a_target_cannot_wish_to_be_hammered(desk: Desk) -> None:
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = ["hasty"] * 1000
    await desk.look()
    await desk.work(3600)
    assert len(desk.target.got) < 20


async def test_a_target_may_limit_the_tries(desk: Desk) -> None:
    desk.target.attempts = 2
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = ["down", "retryable", "down"]
    await desk.look()
    await desk.work(3600)
    failed = await desk.the("v1")
    assert [one.outcome for one in failed.attempts] == ["no connection", "the table did not answer"]
    assert failed.status is Status.FAILED


async def test_a_target_that_is_busy_is_waited_for_without_counting_a_failure(desk: Desk) -> None:
    desk.target.attempts = 1
    await desk.announcer.begin()
    await desk.version("1")
    desk.target.answers = ["busy", "busy"]
    await desk.look()
    await desk.work(60)
    assert [one.verdict for one in (await desk.the("v1")).attempts] == [Verdict.DELIVERED]


async def test_what_takes_long_is_settled_before_the_next_begins(desk: Desk) -> None:
    """A crash during the second training must not repeat the first."""
    await desk.announcer.begin()
    await desk.version("1")
    await desk.version("2")
    desk.target.takes = 50.0
    desk.target.answers = ["fine", "crash-after"]
    assert await desk.look() == ["photos/v1/retrain", "photos/v2/retrain", "photos/v2/retrain"]


async def test_deliveries_of_a_trigger_that_is_not_configured_wait(desk: Desk) -> None:
    await desk.announcer.begin()
    await desk.version("1")
    await desk.announcer.look()
    workers = Workers(
        desk.world.state,
        {Kind.DELIVERY: Deliverer(desk.world.state, desk.world.clock, {}, Backoff().delay).deliver},
        desk.world.clock,
        Pace(),
        Backoff(),
    )
    assert await workers.start_one()
    await workers.finish()
    assert (await desk.the("v1")).status is Status.WAITING
    assert await desk.work(400) == ["photos/v1/retrain"]
