"""What the metrics say of what happens: waits from end to end, failures by who failed, calls to the outside."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import Claim, Kind, Mark, Outcome, Settlement, Subject
from syncd.ports import Backlog
from syncd.runtime.metrics import count_request, count_settled, show_backlog, show_datasets
from syncd.runtime.observed import observed_state, observed_store
from syncd.state import MemoryState
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock
from tests.contracts.test_state_store import change, gone, row
from tests.flows.world import CAT, NAME, World
from tests.runtime.watched import Change, watched


class Waited:
    """What a histogram of waits took in since: how many, and seconds in all."""

    def __init__(self, name: str, dataset: str = NAME) -> None:
        self.count = Change(f"{name}_count", dataset=dataset)
        self.seconds = Change(f"{name}_sum", dataset=dataset)

    def __call__(self) -> tuple[float, float]:
        return self.count(), self.seconds()


@pytest.fixture
def world() -> World:
    return watched(World())


# ------------------------------------------------------------ from one end to the other


async def test_the_way_to_a_task_begins_with_the_first_event_and_counts_each_object_once(world: World) -> None:
    waited, tasks = Waited("syncd_event_to_task_seconds"), Change("syncd_tasks_recorded_total", dataset=NAME)
    await world.put("a.jpg")
    world.clock.advance(2)
    await world.put("a.jpg", b"other bytes")
    world.clock.advance(3)
    await world.work()
    assert (waited(), tasks()) == ((1, 5), 1)


async def test_an_outage_is_part_of_the_way_to_a_task(world: World) -> None:
    waited = Waited("syncd_event_to_task_seconds")
    await world.open()
    world.faulty.faults = ["before"] * 5
    await world.put("a.jpg")
    world.clock.advance(3600)
    await world.work(seconds=120)
    count, seconds = waited()
    assert count == 1
    assert seconds > 3600


async def test_what_becomes_no_task_is_not_counted(world: World) -> None:
    waited = Waited("syncd_event_to_task_seconds")
    await world.put("a.jpg")
    await world.delete("a.jpg")
    await world.work()
    assert waited() == (0, 0)


async def test_the_way_to_a_version_begins_with_the_webhook_and_ends_with_the_commit(world: World) -> None:
    waited, versions = (
        Waited("syncd_annotation_to_snapshot_seconds"),
        Change("syncd_versions_committed_total", dataset=NAME),
    )
    rows = Change("syncd_version_rows_total", dataset=NAME, change="inserted")
    await world.put("a.jpg")
    await world.work()
    world.person.submit(world.task("a.jpg"), CAT)
    await world.webhook(world.task("a.jpg"))
    world.clock.advance(4)
    await world.work(seconds=61)
    count, seconds = waited()
    assert (count, versions(), rows()) == (1, 1, 1)
    assert 64 <= seconds <= 66, "4 s until it was read, 60 s of quiet"


async def test_after_a_restart_the_annotators_own_time_counts_and_a_deletion_has_none() -> None:
    clock = FakeClock()
    inner = MemoryState(clock)
    waited = Waited("syncd_annotation_to_snapshot_seconds", "pets")
    said = datetime.fromtimestamp(clock.now(), UTC).isoformat().replace("+00:00", "Z")
    known = replace(change("1"), row=replace(row("1"), updated_at=said))
    await observed_state(inner, clock).stage("pets", [known, gone("2")])
    clock.advance(7)
    await observed_state(inner, clock).committed("pets", await inner.staged("pets", limit=9))
    assert waited() == (1, 7)


# ------------------------------------------------------------ what failed, and who


@pytest.mark.parametrize(
    ("fault", "metric", "reason"),
    [
        (Retryable("down"), "syncd_retries_total", "annotator_retryable"),
        (Rejected("never"), "syncd_dead_letters_total", "annotator_rejected"),
    ],
)
async def test_a_failure_is_counted_by_who_failed_and_how(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Exception, metric: str, reason: str
) -> None:
    await world.open()

    async def refuses(*_: object) -> list[str]:
        raise fault

    monkeypatch.setattr(world.faulty, "import_tasks", refuses)
    counted = Change(metric, kind="object", reason=reason)
    calls = Change(
        "syncd_adapter_seconds_count",
        adapter="annotator",
        operation="import_tasks",
        outcome=reason.removeprefix("annotator_"),
    )
    await world.put("a.jpg")
    await world.work()
    assert (counted(), calls()) == (1, 1)


async def test_what_only_waits_for_its_turn_is_no_retry() -> None:
    claim = Claim(Subject(Kind.TASK, "d", "1"), 1)
    retried = [Change("syncd_retries_total", kind="task", reason=f"flow_{why}") for why in ("retryable", "conflict")]
    settled = Change("syncd_subjects_settled_total", kind="task", dataset="d", outcome="again")
    count_settled((Kind.TASK, "d"), [Settlement(claim, Outcome.AGAIN, failed=False)], lost=0)
    assert ([change() for change in retried], settled()) == ([0, 0], 1)


async def test_a_delivery_given_up_is_its_targets_and_not_its_words() -> None:
    dead = Settlement(Claim(Subject(Kind.DELIVERY, "d/t", "1"), 1), Outcome.DEAD, "answered 410 of its own")
    counted = Change("syncd_dead_letters_total", kind="delivery", reason="trigger_rejected")
    count_settled((Kind.DELIVERY, "d/t"), [dead], lost=0)
    assert counted() == 1


async def test_a_claim_that_was_taken_over_is_counted_when_it_is_settled(world: World) -> None:
    lost = Change("syncd_leases_lost_total", kind="object", noticed="settle")
    await world.open()
    inner = world.faulty.import_tasks

    async def slow(*args: object) -> list[str]:
        world.clock.advance(61)  # longer than the lease
        await world.state.claim(limit=9, lease=60)
        return await inner(*args)  # type: ignore[arg-type]

    world.faulty.import_tasks = slow  # type: ignore[method-assign, assignment]
    await world.put("a.jpg")
    workers = world.workers()
    await workers.start_one()
    await workers.finish()
    assert lost() == 1


async def test_a_listing_is_timed_page_by_page_and_told_apart_from_one_that_was_ended() -> None:
    store = observed_store(MemoryStore("mem://b", FakeClock()))
    for n in range(3):
        store.put(f"{n}", b"x")  # type: ignore[attr-defined]
    pages = Change("syncd_adapter_seconds_count", adapter="objects", operation="list", outcome="ok")
    assert [len(page) async for page in store.list()] == [3]
    assert pages() == 2, "one page, and that there is no more"
    assert store.bucket == "mem://b"


async def test_waiting_for_work_is_no_call_to_be_timed() -> None:
    clock = FakeClock()
    waits = Change("syncd_adapter_seconds_count", adapter="state", operation="wait", outcome="ok")
    await observed_state(MemoryState(clock), clock).wait(1)
    assert waits() == 0


async def test_marks_and_settlements_go_through_unchanged() -> None:
    clock = FakeClock()
    state = observed_state(MemoryState(clock), clock)
    await state.mark([Mark(Subject(Kind.TASK, "d", "1"))])
    (claim,) = await state.claim(limit=9, lease=60)
    assert (claim.marked_at, claim.traces) == (clock.now(), ())
    assert await state.settle([Settlement(claim, Outcome.DONE)]) == 0
    assert await state.settle([Settlement(claim, Outcome.DONE)]) == 1


# ------------------------------------------------------------ gauges and answers


def test_the_gauges_show_what_waits_and_nothing_of_what_is_gone() -> None:
    oldest = Change("syncd_subjects_oldest_seconds", kind="task", dataset="d")
    pending = Change("syncd_subjects_pending", kind="task", dataset="d")
    show_backlog([Backlog(Kind.TASK, "d", 3, 2, 1, 40.0)], now=100.0)
    assert (oldest(), pending()) == (60, 5)
    show_backlog([], now=100.0)
    assert (oldest(), pending()) == (0, 0)


def test_open_imports_and_staged_rows_are_shown_by_dataset() -> None:
    intents, staged = Change("syncd_intents_open", dataset="d"), Change("syncd_rows_staged", dataset="d")
    show_datasets([("d", 1, 7)])
    assert (intents(), staged()) == (1, 7)


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "unauthenticated"), (413, "too_large"), (503, "not_stored"), (418, "other")]
)
def test_a_request_that_was_not_taken_is_counted_by_why(status: int, reason: str) -> None:
    counted = Change("syncd_http_rejections_total", route="events", reason=reason)
    count_request("events", 204)
    count_request("events", status)
    assert counted() == 1
