"""The contract of `ports.StateStore`: every sentence of its docstrings, on every store there is."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from syncd.domain.deliveries import ATTEMPTS_KEPT, Attempt, Delivery, Status, Verdict
from syncd.domain.errors import Conflict
from syncd.domain.model import (
    Claim,
    Intent,
    Kind,
    Mark,
    ObjectRef,
    Observation,
    Outcome,
    Part,
    Placement,
    Record,
    Row,
    RowStatus,
    Settlement,
    StagedChange,
    Subject,
    TaskState,
)
from syncd.ports import Backlog, Lane, StateStore
from tests.clock import FakeClock
from tests.contracts.states import Opening, clock, open_store, state

__all__ = ["clock", "open_store", "state"]

BUCKET = "s3://photos"
CAT = Subject(Kind.OBJECT, "pets", ObjectRef(BUCKET, "cats/1.jpg").id)
DOG = Subject(Kind.OBJECT, "pets", ObjectRef(BUCKET, "dogs/1.jpg").id)
CAR = Subject(Kind.OBJECT, "cars", ObjectRef(BUCKET, "cars/1.jpg").id)
TASK = Subject(Kind.TASK, "pets", "17")
PETS = Subject(Kind.DATASET, "pets", "pets")
LEASE = 60.0


async def claim(state: StateStore, limit: int = 10, avoid: Collection[Lane] = ()) -> list[Claim]:
    return await state.claim(limit=limit, lease=LEASE, avoid=avoid)


async def claim_one(state: StateStore) -> Claim:
    (one,) = await claim(state)
    return one


async def subjects(state: StateStore) -> list[Subject]:
    return [one.subject for one in await claim(state)]


async def die(
    state: StateStore, subject: Subject, reason: str = "broken", observation: Observation | None = None
) -> None:
    await state.mark([Mark(subject, observation)])
    await state.settle([Settlement(await claim_one(state), Outcome.DEAD, reason)])


# ---------------------------------------------------------------- mark


async def test_a_marked_subject_can_be_claimed_once(state: StateStore) -> None:
    await state.mark([Mark(CAT)])
    assert await subjects(state) == [CAT]
    assert await subjects(state) == []


async def test_a_subject_marked_many_times_is_one_subject(state: StateStore) -> None:
    await state.mark([Mark(CAT), Mark(CAT)])
    await state.mark([Mark(CAT)])
    assert (await claim_one(state)).generation == 3


@pytest.mark.parametrize(
    ("first", "second", "believed"),
    [
        (Observation(5, "new", sequencer="B0"), Observation(9, "old", sequencer="A0"), "new"),
        (Observation(9, "old", sequencer="A0"), Observation(5, "new", sequencer="B0"), "new"),
        (Observation(9, "late"), Observation(5, "early"), None),  # no order is known: it has to be looked at
        (Observation(5, "seen"), None, "seen"),
        (None, Observation(5, "seen"), "seen"),
    ],
)
async def test_the_newer_observation_is_kept(
    state: StateStore, first: Observation | None, second: Observation | None, believed: str | None
) -> None:
    await state.mark([Mark(CAT, first)])
    await state.mark([Mark(CAT, second)])
    seen = (await claim_one(state)).observation
    assert seen
    assert seen.etag == believed


@pytest.mark.parametrize(
    "observation",
    [
        Observation(1_700_000_000.123456789, 'e"tag', "v/1 é", "00ABC", 2**53 + 1, gone=False),
        Observation(0.1 + 0.2, gone=True),
        Observation(3.0, etag="", sequencer="", size=0),
    ],
)
async def test_an_observation_comes_back_exactly(state: StateStore, observation: Observation) -> None:
    await state.mark([Mark(CAT, observation)])
    assert (await claim_one(state)).observation == observation


@pytest.mark.parametrize(
    "id_", ["s3://b a b/ü\n\t\x01\x7f", "s3://b 🦊/\u2028'\"\\%_", "s3://b  ", "s3://b \ufeff\uffff"]
)
async def test_keys_may_hold_any_unicode(state: StateStore, id_: str) -> None:
    subject = Subject(Kind.OBJECT, "päts 'x'", id_)
    await state.mark([Mark(subject)])
    assert await subjects(state) == [subject]


async def test_a_mark_with_a_delay_is_due_after_it(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(PETS, delay=30)])
    clock.advance(29.9)
    assert await subjects(state) == []
    clock.advance(0.1)
    assert await subjects(state) == [PETS]


async def test_marked_again_a_subject_keeps_the_earlier_due_time(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(PETS, delay=30), Mark(CAR, delay=90)])
    await state.mark([Mark(PETS, delay=90), Mark(CAR, delay=30)])
    clock.advance(30)
    assert await subjects(state) + await subjects(state) == [PETS, CAR]


async def test_a_postponing_mark_moves_the_due_time_back(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(PETS, delay=30)])
    clock.advance(20)
    await state.mark([Mark(PETS, delay=30, postpone=True)])
    clock.advance(20)
    assert await subjects(state) == []
    clock.advance(10)
    assert await subjects(state) == [PETS]


async def test_a_mark_ends_backing_off_and_forgets_failures(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    await state.settle([Settlement(await claim_one(state), Outcome.AGAIN, delay=3600)])
    clock.advance(1)
    await state.mark([Mark(CAT)])
    again = await claim_one(state)
    assert (again.attempts, again.failing_since) == (0, None)


async def test_a_mark_revives_a_dead_subject_after_its_delay(state: StateStore, clock: FakeClock) -> None:
    await die(state, CAT)
    clock.advance(100)
    await state.mark([Mark(CAT, delay=5)])
    assert await state.dead_letters() == []
    assert await subjects(state) == []
    clock.advance(5)
    assert (await claim_one(state)).attempts == 0


@pytest.mark.parametrize(
    ("dead", "seen"),
    [
        (None, None),
        (Observation(5, "a", size=1), Observation(9, "a", size=2)),
        (Observation(5, "a", "v1"), Observation(9, "b", "v1")),
        (Observation(5), Observation(9)),
        (Observation(5, gone=True), Observation(9, gone=True)),
    ],
)
async def test_a_mark_that_shall_not_revive_leaves_a_dead_subject_that_looks_the_same(
    state: StateStore, clock: FakeClock, dead: Observation | None, seen: Observation | None
) -> None:
    await die(state, CAT, observation=dead)
    letters = await state.dead_letters()
    clock.advance(1)
    await state.mark([Mark(CAT, seen, revive=False), Mark(DOG, seen, revive=False)])
    assert await state.dead_letters() == letters
    assert await subjects(state) == [DOG]
    await state.revive([CAT])
    revived = await claim_one(state)
    assert (revived.observation, revived.generation) == (dead, 1)


@pytest.mark.parametrize(
    ("dead", "seen"),
    [
        (Observation(5, "a"), Observation(9, "b")),
        (Observation(5, "a", "v1"), Observation(9, "a", "v2")),
        (Observation(5, "a"), Observation(9, "a", gone=True)),
        (Observation(5, gone=True), Observation(9)),
        (None, Observation(9, "a")),
    ],
)
async def test_a_mark_that_shall_not_revive_does_when_another_version_was_seen(
    state: StateStore, dead: Observation | None, seen: Observation
) -> None:
    await die(state, CAT, observation=dead)
    await state.mark([Mark(CAT, seen, revive=False)])
    assert await state.dead_letters() == []
    revived = await claim_one(state)
    assert (revived.observation, revived.attempts, revived.generation) == (seen, 0, 2)


async def test_a_mark_that_shall_not_revive_is_as_any_other_to_a_living_subject(
    state: StateStore, clock: FakeClock
) -> None:
    await state.mark([Mark(CAT, Observation(5, "a"))])
    await state.settle([Settlement(await claim_one(state), Outcome.AGAIN, delay=3600)])
    clock.advance(1)
    await state.mark([Mark(CAT, Observation(9, "a"), revive=False)])
    again = await claim_one(state)
    assert (again.attempts, again.generation) == (0, 2)


async def test_no_marks_are_fine(state: StateStore) -> None:
    await state.mark([])
    await state.settle([])
    await state.renew([], lease=LEASE)
    assert await claim(state) == []


async def test_ten_thousand_subjects_go_in_and_out_at_once(state: StateStore) -> None:
    many = [Subject(Kind.OBJECT, "pets", f"{BUCKET} {n:05}") for n in range(10_000)]
    await state.mark([Mark(s) for s in many])
    await state.mark([Mark(s) for s in many])
    claims = await claim(state, limit=10_000)
    assert [c.subject for c in claims] == many
    assert {c.generation for c in claims} == {2}
    await state.settle([Settlement(c, Outcome.DONE) for c in claims])
    assert await state.backlog() == []


# ---------------------------------------------------------------- claim


async def test_a_claim_takes_the_longest_waiting_of_one_kind_and_dataset(state: StateStore, clock: FakeClock) -> None:
    for subject in (CAT, CAR, TASK, DOG):
        await state.mark([Mark(subject)])
        clock.advance(1)
    assert [await subjects(state) for _ in range(4)] == [[CAT, DOG], [CAR], [TASK], []]


async def test_a_claim_passes_over_the_lanes_to_avoid(state: StateStore, clock: FakeClock) -> None:
    for subject in (CAT, DOG, CAR, TASK):
        await state.mark([Mark(subject)])
        clock.advance(1)
    busy = {(Kind.OBJECT, "pets")}
    assert [c.subject for c in await claim(state, avoid=busy)] == [CAR]
    assert [c.subject for c in await claim(state, avoid=busy)] == [TASK]
    assert await claim(state, avoid=busy) == []
    assert await subjects(state) == [CAT, DOG]


async def test_a_claim_takes_no_more_than_its_limit_in_due_order(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(DOG, delay=2), Mark(CAT, delay=1)])
    clock.advance(5)
    (first,) = await claim(state, limit=1)
    (second,) = await claim(state, limit=1)
    assert (first.subject, second.subject) == (CAT, DOG)


async def test_of_subjects_due_at_once_the_one_marked_first_comes_first(state: StateStore) -> None:
    await state.mark([Mark(DOG), Mark(CAR), Mark(CAT)])
    await state.mark([Mark(CAT), Mark(DOG)])
    assert await subjects(state) == [DOG, CAT]


async def test_after_its_lease_a_subject_can_be_claimed_under_another_token(
    state: StateStore, clock: FakeClock
) -> None:
    await state.mark([Mark(CAT)])
    lost = await claim_one(state)
    clock.advance(LEASE - 0.1)
    assert await claim(state) == []
    clock.advance(0.1)
    again = await claim_one(state)
    assert lost.token
    assert again.token
    assert again.token != lost.token


async def test_concurrent_claims_never_share_a_subject(state: StateStore) -> None:
    await state.mark([Mark(Subject(Kind.TASK, "pets", str(n))) for n in range(100)])
    batches = await asyncio.gather(*(claim(state, limit=7) for _ in range(20)))
    taken = [c.subject.id for batch in batches for c in batch]
    assert sorted(taken, key=int) == [str(n) for n in range(100)]


async def test_a_renewed_claim_is_held_from_now(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    held = await claim_one(state)
    clock.advance(LEASE / 2)
    await state.renew([held], lease=LEASE)
    clock.advance(LEASE - 0.1)
    assert await claim(state) == []
    clock.advance(0.1)
    assert await subjects(state) == [CAT]


async def test_renewing_passes_over_claims_that_were_lost(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT), Mark(DOG)])
    cat, dog = await claim(state)
    await state.settle([Settlement(dog, Outcome.DONE)])
    clock.advance(LEASE)
    await claim_one(state)
    clock.advance(LEASE - 1)
    await state.renew([cat, dog], lease=LEASE)
    clock.advance(1)
    assert await subjects(state) == [CAT]


# ---------------------------------------------------------------- settle


async def test_done_removes_the_subject(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    await state.settle([Settlement(await claim_one(state), Outcome.DONE)])
    clock.advance(1e6)
    assert await claim(state) == []
    assert await state.backlog() == []


async def test_again_makes_it_due_after_the_delay_and_counts_the_failure(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    failed_at: list[float] = []
    for attempts in (0, 1, 2):
        one = await claim_one(state)
        assert one.attempts == attempts
        assert one.failing_since == (failed_at[0] if failed_at else None)
        failed_at.append(clock.now())
        await state.settle([Settlement(one, Outcome.AGAIN, delay=10)])
        clock.advance(9.9)
        assert await claim(state) == []
        clock.advance(0.1)
    assert await subjects(state) == [CAT]


async def test_again_without_a_failure_leaves_the_attempts(state: StateStore) -> None:
    await state.mark([Mark(CAT)])
    await state.settle([Settlement(await claim_one(state), Outcome.AGAIN)])
    failed = await claim_one(state)
    await state.settle([Settlement(failed, Outcome.AGAIN, failed=False)])
    again = await claim_one(state)
    assert (again.attempts, again.failing_since) == (1, failed.failing_since)


async def test_dead_puts_it_among_the_dead_letters(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    await state.settle([Settlement(await claim_one(state), Outcome.AGAIN)])
    clock.advance(5)
    await state.settle([Settlement(await claim_one(state), Outcome.DEAD, "no such bucket")])
    clock.advance(1e6)
    assert await claim(state) == []
    (letter,) = await state.dead_letters()
    assert (letter.subject, letter.reason, letter.attempts) == (CAT, "no such bucket", 2)
    assert letter.dead_at == clock.now() - 1e6


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_marked_since_its_claim_a_subject_stays_due_whatever_the_outcome(
    state: StateStore, outcome: Outcome
) -> None:
    await state.mark([Mark(CAT, Observation(1, "first", sequencer="1"))])
    before = await claim_one(state)
    await state.mark([Mark(CAT, Observation(2, "second", sequencer="2"))])
    assert await claim(state) == [], "a mark does not end the lease"
    await state.settle([Settlement(before, outcome, delay=3600)])
    after = await claim_one(state)
    assert after.observation == Observation(2, "second", sequencer="2")
    assert (after.generation, after.attempts) == (2, 0)


async def test_a_postponing_mark_since_the_claim_names_the_due_time(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(PETS)])
    before = await claim_one(state)
    await state.mark([Mark(PETS, delay=30, postpone=True)])
    await state.settle([Settlement(before, Outcome.DONE)])
    assert await claim(state) == []
    clock.advance(30)
    assert await subjects(state) == [PETS]


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_a_subject_that_is_marked_all_the_time_lets_others_through(
    state: StateStore, clock: FakeClock, outcome: Outcome
) -> None:
    await state.mark([Mark(CAT)])
    clock.advance(1)
    await state.mark([Mark(DOG)])
    (busy,) = await claim(state, limit=1)
    clock.advance(1)
    await state.mark([Mark(CAT)])
    await state.settle([Settlement(busy, outcome)])
    assert await subjects(state) == [DOG, CAT]


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_a_settlement_of_a_lost_claim_has_no_effect(
    state: StateStore, clock: FakeClock, outcome: Outcome
) -> None:
    await state.mark([Mark(CAT)])
    lost = await claim_one(state)
    clock.advance(LEASE)
    held = await claim_one(state)
    await state.settle([Settlement(lost, outcome)])
    assert await claim(state) == []
    assert await state.dead_letters() == []
    await state.settle([Settlement(held, Outcome.DONE)])
    assert await state.backlog() == []


async def test_a_claim_can_be_settled_after_its_lease_while_nobody_else_took_it(
    state: StateStore, clock: FakeClock
) -> None:
    await state.mark([Mark(CAT)])
    late = await claim_one(state)
    clock.advance(2 * LEASE)
    await state.settle([Settlement(late, Outcome.DONE)])
    assert await state.backlog() == []


async def test_a_claim_is_settled_only_once(state: StateStore) -> None:
    await state.mark([Mark(CAT)])
    one = await claim_one(state)
    await state.settle([Settlement(one, Outcome.AGAIN), Settlement(one, Outcome.DEAD)])
    await state.settle([Settlement(one, Outcome.DONE)])
    assert (await claim_one(state)).attempts == 1


# ---------------------------------------------------------------- wait


async def test_wait_returns_at_once_while_something_is_due(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    before = clock.now()
    await state.wait(3600)
    assert clock.now() == before


async def test_wait_sleeps_no_longer_than_until_the_next_due_time(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT, delay=0.25)])
    before = clock.now()
    await state.wait(3600)
    assert clock.now() == before + 0.25
    assert await subjects(state) == [CAT]


async def test_wait_returns_after_its_timeout(state: StateStore, clock: FakeClock) -> None:
    before = clock.now()
    await state.wait(0.5)
    assert clock.now() == before + 0.5


class StoppedClock(FakeClock):
    """A clock on which nothing but an event can end a wait; `asleep` is set once somebody sleeps on it."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Never return."""
        self.asleep.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("event", ["mark", "again", "revive"])
async def test_wait_is_woken_by_what_makes_a_subject_due(open_store: Opening, event: str) -> None:
    clock = StoppedClock()
    state = await open_store(clock)
    await die(state, DOG)
    await state.mark([Mark(CAT)])
    held = await claim_one(state)
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(state.wait(3600))
        await clock.asleep.wait()
        if event == "mark":
            await state.mark([Mark(TASK)])
        elif event == "again":
            await state.settle([Settlement(held, Outcome.AGAIN)])
        else:
            await state.revive([DOG])
        await waiting
    await state.close()


# ---------------------------------------------------------------- backlog, dead letters


async def test_the_backlog_counts_by_kind_and_dataset(state: StateStore, clock: FakeClock) -> None:
    start = clock.now()
    await die(state, DOG)
    clock.advance(10)
    await state.mark([Mark(CAT), Mark(CAR), Mark(PETS, delay=3600)])
    await claim(state, limit=1)
    clock.advance(10)
    await state.mark([Mark(CAT), Mark(TASK), Mark(replace(TASK, id="18"))])
    assert sorted(await state.backlog(), key=lambda b: (b.kind, b.dataset)) == [
        Backlog(Kind.DATASET, "pets", pending=1, claimed=0, dead=0, oldest=start + 10),
        Backlog(Kind.OBJECT, "cars", pending=1, claimed=0, dead=0, oldest=start + 10),
        Backlog(Kind.OBJECT, "pets", pending=0, claimed=1, dead=1, oldest=start + 10),
        Backlog(Kind.TASK, "pets", pending=2, claimed=0, dead=0, oldest=start + 20),
    ]


async def test_the_backlog_counts_a_lapsed_claim_as_pending(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    await claim(state)
    clock.advance(LEASE)
    (backlog,) = await state.backlog()
    assert (backlog.pending, backlog.claimed) == (1, 0)


async def test_the_dead_alone_are_not_waiting(state: StateStore) -> None:
    await die(state, CAT)
    assert await state.backlog() == [Backlog(Kind.OBJECT, "pets", pending=0, claimed=0, dead=1, oldest=None)]


async def test_a_success_ends_the_wait_of_a_subject_marked_meanwhile(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    one = await claim_one(state)
    clock.advance(50)
    await state.mark([Mark(CAT)])
    await state.settle([Settlement(one, Outcome.DONE)])
    (backlog,) = await state.backlog()
    assert backlog.oldest == clock.now()


async def test_dead_letters_are_listed_oldest_first(state: StateStore, clock: FakeClock) -> None:
    for subject in (DOG, CAR, CAT):
        await die(state, subject, f"no {subject.id}")
        clock.advance(1)
    assert [letter.subject for letter in await state.dead_letters()] == [DOG, CAR, CAT]
    assert [letter.subject for letter in await state.dead_letters("pets")] == [DOG, CAT]
    assert await state.dead_letters("none") == []


async def test_revived_dead_letters_are_due_now_with_their_failures_forgotten(state: StateStore) -> None:
    await die(state, CAT)
    assert await state.revive([CAT, DOG, CAT]) == 1
    assert await state.revive([CAT]) == 0
    one = await claim_one(state)
    assert (one.subject, one.attempts, one.failing_since) == (CAT, 0, None)


async def test_dropped_dead_letters_are_forgotten(state: StateStore) -> None:
    await die(state, CAT)
    await state.mark([Mark(DOG)])
    assert await state.drop([CAT, DOG]) == 1
    assert await state.dead_letters() == []
    assert await subjects(state) == [DOG], "what is not dead is not dropped"


# ---------------------------------------------------------------- records


def record(key: str, task_id: str, *, serial: int = 0, dataset: str = "pets", bucket: str = BUCKET) -> Record:
    return Record(dataset, ObjectRef(bucket, key), f"key-{task_id}", task_id, "etag", None, 7, serial)


def intent(marker: str, created_at: float = 1.0, dataset: str = "pets") -> Intent:
    return Intent(dataset, marker, created_at, (Placement(ObjectRef(BUCKET, "a\nb"), "k", None, "v", 3, 1),))


async def test_records_come_back_by_object_in_order_of_serial(state: StateStore) -> None:
    first, second = record("a", "9"), record("a", "10", serial=1)
    other = record("b", "11")
    elsewhere = record("a", "12", bucket="s3://other")
    await state.record([second, other, first, elsewhere, record("a", "13", dataset="cars")])
    found = await state.records("pets", [first.ref, elsewhere.ref, ObjectRef(BUCKET, "none")])
    assert found == {first.ref: [first, second], elsewhere.ref: [elsewhere]}


async def test_a_record_comes_back_exactly(state: StateStore) -> None:
    one = Record("d", ObjectRef("file:///x y", "\x01ü 🦊\n"), "tk", "5", None, "v", 2**60, 3, TaskState.RETIRED)
    await state.record([one])
    assert await state.by_task("d", ["5"]) == {"5": [one]}


async def test_a_record_and_an_intent_keep_what_their_task_is_made_of(state: StateStore) -> None:
    parts = (Part("left", ObjectRef(BUCKET, "a\nl"), "e1", "v1"), Part("right", ObjectRef(BUCKET, "r")))
    made = replace(record("a", "1"), parts=parts)
    meant = Intent("pets", "m", 1.0, (Placement(made.ref, "k", "e", None, 1, 0, parts),))
    await state.record([made, record("b", "2")])
    await state.intend(meant)
    assert (await state.records("pets", [made.ref]))[made.ref] == [made]
    assert await state.intents("pets") == [meant]


async def test_an_id_that_was_given_away_again_has_a_record_for_each_task_key(state: StateStore) -> None:
    first, second = record("a", "7"), replace(record("b", "7"), task_key="key-other")
    await state.record([first, second])
    assert await state.by_task("pets", ["7"]) == {"7": [first, second]}
    assert [r async for page in state.walk_tasks("pets") for r in page] == [first, second]


async def test_a_dataset_can_be_forgotten_and_the_others_stay(state: StateStore) -> None:
    for dataset in ("pets", "cars"):
        await state.mark([Mark(Subject(Kind.DATASET, dataset, dataset))])
        await state.record([record("a", "1", dataset=dataset)])
        await state.intend(intent(f"m-{dataset}", dataset=dataset))
        await state.stage(dataset, [StagedChange("5", "1", row("5"))])
        await state.committed(dataset, await state.staged(dataset, limit=9))
        await state.put(f"changed:{dataset}", "x")
    await state.forget("pets")
    await state.forget("pets")
    assert [b.dataset for b in await state.backlog()] == ["cars"]
    (gone,) = await state.staged("pets", limit=9)
    assert (gone.annotation_id, gone.row) == ("5", None)
    for dataset, left in (("pets", False), ("cars", True)):
        assert bool(await state.by_task(dataset, ["1"])) is left
        assert bool(await state.intents(dataset)) is left
        assert await state.staged_count(dataset) == (0 if left else 1)
        assert bool(await state.get(f"changed:{dataset}")) is left


async def test_writing_a_record_again_replaces_it(state: StateStore) -> None:
    one = record("a", "1")
    await state.record([one])
    await state.record([replace(one, state=TaskState.REMOVED)])
    assert (await state.records("pets", [one.ref]))[one.ref] == [replace(one, state=TaskState.REMOVED)]


async def test_unknown_task_ids_are_left_out(state: StateStore) -> None:
    await state.record([record("a", "1"), record("a", "2", dataset="cars")])
    assert list(await state.by_task("pets", ["1", "2", "3"])) == ["1"]


async def test_task_keys_that_have_a_record_are_told(state: StateStore) -> None:
    await state.record([record("a", "1"), record("b", "2"), record("c", "3", dataset="cars")])
    assert await state.task_keys("pets", ["key-1", "key-2", "key-3", "key-4"]) == {"key-1", "key-2"}


async def test_thousands_of_objects_are_looked_up_at_once(state: StateStore) -> None:
    many = [record(f"{n}", str(n)) for n in range(3000)]
    await state.record(many)
    assert len(await state.records("pets", [r.ref for r in many])) == 3000
    assert len(await state.by_task("pets", [r.task_id for r in many])) == 3000


async def _walk(state: StateStore, after: str = "") -> list[list[Record]]:
    return [list(page) async for page in state.walk("pets", BUCKET, after=after)]


async def test_walk_is_in_the_order_of_utf8_bytes(state: StateStore) -> None:
    keys = ["a", "B", "ä", "a/b", "a b", "\uffff", "\U0001f98a", "\x01", "z", "aa", "A"]
    await state.record([record(key, str(n)) for n, key in enumerate(keys)])
    await state.record([record("b", "99", bucket="s3://other"), record("b", "98", dataset="cars")])
    walked = [r.ref.key for page in await _walk(state) for r in page]
    assert walked == sorted(keys, key=lambda key: key.encode())
    assert [r.ref.key for page in await _walk(state, after="a/b") for r in page] == walked[walked.index("a/b") + 1 :]


async def test_walk_keeps_the_records_of_an_object_on_one_page(state: StateStore) -> None:
    versions = [record(f"{n:04}", str(n * 3 + s), serial=s) for n in range(1200) for s in range(3)]
    await state.record(versions)
    pages = await _walk(state)
    assert len(pages) > 1
    assert [r for page in pages for r in page] == versions
    keys = [{r.ref.key for r in page} for page in pages]
    assert sum(len(k) for k in keys) == 1200


async def test_walk_tasks_is_in_numeric_order(state: StateStore) -> None:
    ids = ["10", "9", "100", "1", "99999999999", "2500"] + [str(n) for n in range(3000, 5000)]
    await state.record([record(f"k{i}", i) for i in ids] + [record("k", "3", dataset="cars")])
    walked = [r.task_id async for page in state.walk_tasks("pets") for r in page]
    assert walked == sorted(ids, key=int)


async def test_walk_tasks_reaches_ids_that_are_no_numbers(state: StateStore) -> None:
    ids = ["b2", "7", "a1", "9" * 40, "07"]
    await state.record([record(i, i) for i in ids])
    walked = [r.task_id async for page in state.walk_tasks("pets") for r in page]
    assert sorted(walked) == sorted(ids)


async def test_walking_nothing_yields_no_page(state: StateStore) -> None:
    assert await _walk(state) == []
    assert [page async for page in state.walk_tasks("pets")] == []


async def test_an_intent_is_open_until_its_records_are_written(state: StateStore) -> None:
    await state.intend(intent("m1"))
    assert await state.intents("pets") == [intent("m1")]
    assert await state.fulfil("m1", [record("a", "1")]) == [record("a", "1")]
    assert await state.intents("pets") == []
    assert await state.by_task("pets", ["1"])


async def test_intents_are_listed_oldest_first_by_dataset(state: StateStore) -> None:
    for one in (intent("late", 3), intent("early", 1), intent("twin", 1), intent("other", 0, "cars")):
        await state.intend(one)
    assert [i.marker for i in await state.intents("pets")] == ["early", "twin", "late"]


async def test_an_abandoned_intent_is_closed(state: StateStore) -> None:
    await state.intend(intent("m1"))
    await state.abandon("m1")
    await state.abandon("m1")
    assert await state.intents("pets") == []


async def test_records_without_an_intent_close_none(state: StateStore) -> None:
    await state.intend(intent("m1"))
    await state.record([record("a", "1")])
    await state.record([])
    assert await state.intents("pets") == [intent("m1")]


async def test_what_fulfils_an_intent_replaces_no_record_that_is_there(state: StateStore) -> None:
    """Somebody else thought the import was lost, and made the task anew; or found it, and went on."""
    ours, retired = record("a", "1"), replace(record("a", "1"), state=TaskState.REMOVED)
    doubled, new = replace(record("b", "2"), task_key="key-9"), record("c", "3")
    await state.record([retired, record("b", "9")])
    await state.intend(intent("m1"))
    assert await state.fulfil("m1", [ours, doubled, new]) == [ours, new], "those whose task is the recorded one"
    assert await state.intents("pets") == []
    assert [r async for page in state.walk_tasks("pets") for r in page] == [retired, new, record("b", "9")]


async def test_what_fulfils_no_open_intent_is_written_by_who_holds_its_claims(
    state: StateStore, clock: FakeClock
) -> None:
    await state.mark([Mark(CAT)])
    (claim,) = await state.claim(limit=1, lease=60)
    assert await state.fulfil("closed", [record("a", "1")]) == []
    assert await state.fulfil("closed", [record("b", "2")], held=[claim]) == [record("b", "2")]
    assert await state.fulfil(None, [record("c", "3")]) == [record("c", "3")]
    clock.advance(61)
    await state.claim(limit=1, lease=60)
    assert await state.fulfil("closed", [record("d", "4")], held=[claim]) == []
    await state.intend(intent("m1"))
    assert await state.fulfil("m1", [record("e", "5")], held=[claim]) == [record("e", "5")]
    assert [r.task_id async for page in state.walk_tasks("pets") for r in page] == ["2", "3", "5"]


async def test_nothing_is_begun_for_a_claim_that_was_lost(state: StateStore, clock: FakeClock) -> None:
    await state.mark([Mark(CAT)])
    (lost,) = await state.claim(limit=1, lease=60)
    await state.record([record("a", "1")])
    change = (record("a", "1"), replace(record("a", "1"), state=TaskState.IN_DOUBT))
    clock.advance(61)
    (kept,) = await state.claim(limit=1, lease=60)
    with pytest.raises(Conflict, match="1 of 2 claims"):
        await state.intend(intent("m1"), held=[kept, lost])
    with pytest.raises(Conflict, match="1 of 1 claims"):
        await state.amend([change], [Mark(DOG)], held=[lost])
    assert (await state.intents("pets"), await subjects(state)) == ([], [])
    await state.intend(intent("m1"), held=[kept])
    assert await state.amend([change], [Mark(DOG)], held=[kept]) == [change[1]]
    assert (await state.intents("pets"), await subjects(state)) == ([intent("m1")], [DOG])


async def test_a_record_is_amended_only_as_it_was_read(state: StateStore) -> None:
    one, two, never = record("a", "1"), record("b", "2"), record("c", "3", dataset="cars")
    await state.record([one, two])
    discarded = [replace(r, state=TaskState.DISCARDED) for r in (one, two, never)]
    await state.amend([(two, replace(two, etag="learned"))])
    assert await state.amend([(one, discarded[0]), (two, discarded[1]), (never, discarded[2])]) == discarded[:1]
    assert await state.by_task("pets", ["1", "2"]) == {"1": discarded[:1], "2": [replace(two, etag="learned")]}
    assert await state.by_task("cars", ["3"]) == {}


async def test_amending_records_marks_what_follows_from_it(state: StateStore) -> None:
    await state.record([record("a", "1")])
    await state.amend([(record("a", "1"), replace(record("a", "1"), state=TaskState.RETIRED))], [Mark(CAT)])
    assert await subjects(state) == [CAT]
    await state.amend([], [Mark(DOG)])
    assert await subjects(state) == [DOG]


# ---------------------------------------------------------------- staging


def row(annotation_id: str, task_id: str = "1", digest: str = "d1") -> Row:
    return Row(
        annotation_id=annotation_id, task_id=task_id, status=RowStatus.SUBMITTED, invalid_reason=None,
        annotator="a@b", ground_truth=False, labels=("cat", "dög"), result='[{"x": 1.50}]', data="{}",
        object_uri="s3://photos/a", bucket=BUCKET, key="a\x01", etag="e", version_id=None, retired=True,
        label_config_hash="h", lead_time=1.1, created_at="2026-01-01T00:00:00Z", updated_at=None,
        prediction_id=None, model_version=None, prediction="[]", digest=digest,
    )  # fmt: skip


def change(annotation_id: str, task_id: str = "1", digest: str = "d1") -> StagedChange:
    return StagedChange(annotation_id, task_id, row(annotation_id, task_id, digest))


def gone(annotation_id: str, task_id: str = "1") -> StagedChange:
    return StagedChange(annotation_id, task_id, None)


async def test_a_row_that_came_into_a_version_after_its_deletion_is_taken_out_again(state: StateStore) -> None:
    """Who commits it read it before it was deleted, and slept; the deletion found nothing to delete then."""
    await state.stage("pets", [change("1"), change("2")])
    read = await state.staged("pets", limit=9)
    await state.stage("pets", [gone("1")])
    await state.committed("pets", [c for c in await state.staged("pets", limit=9) if c.row is None])
    assert await state.known("pets", ["1"]) == {"1": {"2": "d1"}}
    await state.committed("pets", read)
    assert [(c.annotation_id, c.row) for c in await staged(state)] == [("1", None)]
    await state.committed("pets", await state.staged("pets", limit=9))
    assert await staged(state) == []


async def claimed_task(state: StateStore, task_id: str) -> Claim:
    await state.mark([Mark(Subject(Kind.TASK, "pets", task_id))])
    (claim,) = await state.claim(limit=9, lease=60)
    return claim


async def test_who_lost_its_claim_on_a_task_stages_nothing_of_it(state: StateStore, clock: FakeClock) -> None:
    lost = await claimed_task(state, "7")
    clock.advance(61)
    (other,) = await state.claim(limit=9, lease=60)
    kept = await claimed_task(state, "8")
    await state.stage("pets", [change("1", "7", "old"), change("2", "8")], held=[lost, kept])
    assert [c.annotation_id for c in await staged(state)] == ["2"]
    assert await state.known("pets", ["7"]) == {}
    await state.stage("pets", [change("1", "7", "new")], held=[other])
    await state.settle([Settlement(other, Outcome.DONE)])
    await state.stage("pets", [change("1", "7", "old")], held=[lost])
    await state.stage("pets", [change("1", "7", "old")], held=[other])
    assert await state.known("pets", ["7"]) == {"7": {"1": "new"}}


async def test_a_claim_whose_lease_ran_out_counts_until_another_takes_it(state: StateStore, clock: FakeClock) -> None:
    claim = await claimed_task(state, "7")
    clock.advance(3600)
    await state.stage("pets", [change("1", "7"), change("2", "8")], held=[claim])
    assert [c.annotation_id for c in await staged(state)] == ["1"], "of another task nothing"


async def staged(state: StateStore, dataset: str = "pets") -> list[StagedChange]:
    return [replace(c, seq=0) for c in await state.staged(dataset, limit=100)]


async def test_staged_rows_come_back_exactly_and_in_order(state: StateStore) -> None:
    await state.stage("pets", [change("20"), gone("3")])
    await state.stage("pets", [change("1")])
    await state.stage("cars", [change("2")])
    assert await staged(state) == [change("20"), gone("3"), change("1")]
    assert await state.staged_count("pets") == 3
    (first,) = await state.staged("pets", limit=1)
    assert isinstance(first.row, Row)
    assert isinstance(first.row.status, RowStatus)
    assert isinstance(first.row.labels, tuple)


async def test_the_newest_change_of_an_annotation_wins(state: StateStore) -> None:
    await state.stage("pets", [change("1", digest="d1"), change("2"), change("1", digest="d2")])
    assert await staged(state) == [change("2"), change("1", digest="d2")]
    await state.stage("pets", [gone("2")])
    assert await staged(state) == [change("1", digest="d2"), gone("2")]


async def test_staging_the_same_again_changes_nothing(state: StateStore) -> None:
    await state.stage("pets", [change("1"), gone("2")])
    before = await state.staged("pets", limit=10)
    await state.stage("pets", [gone("2"), change("1")])
    assert await state.staged("pets", limit=10) == before


async def test_seq_orders_staging(state: StateStore) -> None:
    await state.stage("pets", [change(str(n)) for n in range(50)])
    seqs = [c.seq for c in await state.staged("pets", limit=50)]
    assert seqs == sorted(set(seqs))


async def test_committed_changes_are_taken_out(state: StateStore) -> None:
    await state.stage("pets", [change("1"), change("2")])
    first, second = await state.staged("pets", limit=2)
    await state.committed("pets", [first])
    assert await state.staged("pets", limit=2) == [second]
    await state.committed("pets", [first])
    assert await state.staged_count("pets") == 1


async def test_a_change_staged_anew_since_is_not_taken_out(state: StateStore) -> None:
    await state.stage("pets", [change("1")])
    old = await state.staged("pets", limit=1)
    await state.stage("pets", [change("1", digest="d2")])
    await state.committed("pets", old)
    assert await staged(state) == [change("1", digest="d2")]


async def test_a_commit_reported_twice_takes_out_nothing_staged_later(state: StateStore) -> None:
    await state.stage("pets", [change("1")])
    old = await state.staged("pets", limit=1)
    await state.committed("pets", old)
    await state.stage("pets", [change("1")])
    await state.committed("pets", old)
    assert await staged(state) == [change("1")]


async def test_known_tells_the_last_digest_of_each_annotation_and_survives_the_commit(state: StateStore) -> None:
    await state.stage("pets", [change("1", "7"), change("2", "7", "d9"), change("3", "8"), change("4", "9")])
    await state.stage("pets", [change("1", "7", "d2")])
    await state.committed("pets", await state.staged("pets", limit=10))
    assert await state.known("pets", ["7", "8", "10"]) == {"7": {"1": "d2", "2": "d9"}, "8": {"3": "d1"}}
    assert await state.known("cars", ["7"]) == {}


async def test_a_waiting_deletion_is_known_without_a_digest(state: StateStore) -> None:
    await state.stage("pets", [change("1")])
    await state.stage("pets", [gone("1")])
    assert await state.known("pets", ["1"]) == {"1": {"1": ""}}


async def test_a_committed_deletion_is_no_longer_known(state: StateStore) -> None:
    await state.stage("pets", [change("1"), change("2")])
    await state.stage("pets", [gone("1")])
    await state.committed("pets", await state.staged("pets", limit=10))
    assert await state.known("pets", ["1"]) == {"1": {"2": "d1"}}
    assert await state.tasks_of("pets", ["1"]) == []


async def test_an_annotation_that_came_back_stays_known_when_its_deletion_is_committed(state: StateStore) -> None:
    await state.stage("pets", [gone("1")])
    deletion = await state.staged("pets", limit=1)
    await state.stage("pets", [change("1")])
    await state.committed("pets", deletion)
    assert await state.known("pets", ["1"]) == {"1": {"1": "d1"}}
    assert await staged(state) == [change("1")]


async def test_tasks_of_annotations(state: StateStore) -> None:
    await state.stage("pets", [change("1", "10"), change("2", "9"), change("3", "9"), change("4", "8")])
    assert await state.tasks_of("pets", ["1", "2", "3", "unknown"]) == ["9", "10"]
    await state.stage("pets", [change("1", "11")])
    assert await state.tasks_of("pets", ["1"]) == ["11"]
    assert await state.tasks_of("cars", ["1"]) == []


async def test_thousands_of_changes_are_staged_and_committed_at_once(state: StateStore) -> None:
    await state.stage("pets", [change(str(n), str(n % 700)) for n in range(3000)])
    await state.stage("pets", [gone(str(n), str(n % 700)) for n in range(1500)])
    await state.committed("pets", await state.staged("pets", limit=3000))
    assert await state.staged_count("pets") == 0
    known = await state.known("pets", [str(n) for n in range(700)])
    assert sum(map(len, known.values())) == 1500


# ---------------------------------------------------------------- cursors, life


async def test_a_cursor_holds_its_last_value(state: StateStore) -> None:
    assert await state.get("changed:pets") is None
    await state.put("changed:pets", "1")
    await state.put("changed:pets", "2 ü")
    await state.put("other", "")
    assert await state.get("changed:pets") == "2 ü"
    assert await state.get("other") == ""


async def test_closing_twice_is_fine(state: StateStore) -> None:
    await state.close()
    await state.close()


# ---------------------------------------------------------------- deliveries


def delivery(name: str = "v1", trigger: str = "retrain", at: float = 5.0, **fields: Any) -> Delivery:
    id_ = f"pets/{name}/{trigger}"
    return Delivery(id_, "pets", trigger, {"id": id_, "data": {"n": 1.5, "label": "dög"}}, at, **fields)


def attempt(verdict: Verdict = Verdict.FAILED, at: float = 7.0) -> Attempt:
    return Attempt(at, 0.5, verdict, "503 Service Unavailable", "später")


async def announce(state: StateStore, *deliveries: Delivery, value: str = "1") -> list[str]:
    return await state.announce(deliveries, cursor="trigger:retrain:pets", value=value)


async def ids(state: StateStore, **chosen: Any) -> list[str]:
    return [one.id for one in await state.deliveries(**chosen)]


async def the(state: StateStore, wanted: Delivery) -> Delivery:
    found = await state.delivery(wanted.id)
    assert found
    return found


async def work_off(state: StateStore, outcome: Outcome) -> None:
    await state.settle([Settlement(one, outcome, "why") for one in await claim(state)])


async def test_an_announced_delivery_is_due_and_its_cursor_is_set(state: StateStore, clock: FakeClock) -> None:
    assert await announce(state, delivery(), value="1 ü") == ["pets/v1/retrain"]
    assert await state.get("trigger:retrain:pets") == "1 ü"
    found = await the(state, delivery())
    assert found == delivery(status=Status.WAITING, next_at=clock.now())
    assert await subjects(state) == [Subject(Kind.DELIVERY, "pets/retrain", "pets/v1/retrain")]


async def test_announcing_again_changes_nothing_but_the_cursor(state: StateStore) -> None:
    await announce(state, delivery())
    await work_off(state, Outcome.DONE)
    again = replace(delivery(), event={"id": "other"})
    assert await announce(state, again, again, value="2") == []
    assert (await the(state, delivery())).event == delivery().event
    assert await state.get("trigger:retrain:pets") == "2"
    assert await subjects(state) == []


async def test_one_that_is_passed_over_is_not_due_until_it_is_announced_for_good(state: StateStore) -> None:
    held = delivery(passed_over="12 rows changed")
    assert await announce(state, held) == []
    assert await announce(state, replace(held, passed_over="20 rows changed")) == []
    found = await the(state, held)
    assert (found.status, found.passed_over) == (Status.PASSED_OVER, "20 rows changed")
    assert await subjects(state) == []
    assert await announce(state, delivery()) == ["pets/v1/retrain"]
    assert (await the(state, held)).status is Status.WAITING
    assert len(await subjects(state)) == 1


async def test_each_trigger_is_a_lane_of_its_own(state: StateStore) -> None:
    await announce(state, delivery("v1"), delivery("v1", "notify"), delivery("v2"))
    lanes = [{one.subject.dataset for one in await claim(state)} for _ in range(3)]
    assert lanes == [{"pets/retrain"}, {"pets/notify"}, set()]


async def test_the_status_follows_the_subject_and_the_log(state: StateStore) -> None:
    await announce(state, *(delivery(f"v{n}") for n in range(1, 4)))
    good, bad, again = await claim(state)
    await state.attempted(good.subject.id, attempt(Verdict.DELIVERED))
    await state.attempted(bad.subject.id, attempt())
    outcomes = zip((good, bad, again), (Outcome.DONE, Outcome.DEAD, Outcome.AGAIN), strict=True)
    await state.settle([Settlement(one, outcome, "why", delay=30) for one, outcome in outcomes])
    assert await ids(state, status=Status.DELIVERED) == ["pets/v1/retrain"]
    assert await ids(state, status=Status.FAILED) == ["pets/v2/retrain"]
    assert await ids(state, status=Status.WAITING) == ["pets/v3/retrain"]
    assert await ids(state, status=Status.PASSED_OVER) == []
    (letter,) = await state.dead_letters("pets")
    assert (letter.subject.id, letter.reason) == ("pets/v2/retrain", "why")
    await state.drop([letter.subject])
    assert await ids(state, status=Status.FAILED) == ["pets/v2/retrain"], "dropped is not delivered"


async def test_deliveries_are_listed_newest_first(state: StateStore) -> None:
    await announce(state, delivery("v1", at=5), delivery("v2", at=9), delivery("v3", at=5))
    other = replace(delivery("v9", at=1), id="cars/v9/x", dataset="cars")
    await state.announce([other], cursor="c", value="")
    assert [one.split("/")[1] for one in await ids(state)] == ["v2", "v3", "v1", "v9"]
    assert await ids(state, limit=1) == ["pets/v2/retrain"]
    assert await ids(state, dataset="cars") == ["cars/v9/x"]
    assert await state.delivery("pets/v8/retrain") is None


async def test_the_log_keeps_the_last_attempts_exactly(state: StateStore) -> None:
    await announce(state, delivery())
    for n in range(ATTEMPTS_KEPT + 3):
        await state.attempted(delivery().id, attempt(at=n + 0.125))
    log = (await the(state, delivery())).attempts
    assert log == tuple(attempt(at=n + 3.125) for n in range(ATTEMPTS_KEPT))
    assert isinstance(log[0].verdict, Verdict)
    await state.attempted("unknown", attempt())


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.DEAD, Outcome.AGAIN])
async def test_any_delivery_can_be_made_due_again(state: StateStore, outcome: Outcome) -> None:
    await announce(state, delivery())
    await state.settle([Settlement(await claim_one(state), outcome, "why", delay=900)])
    assert await state.redeliver([delivery().id, "unknown", delivery().id]) == 1
    again = await claim_one(state)
    assert (again.subject, again.attempts) == (delivery().subject, 0)


async def test_one_passed_over_can_be_sent_by_hand_and_is_not_sent_again_by_its_trigger(state: StateStore) -> None:
    await announce(state, delivery(passed_over="too soon"))
    assert await state.redeliver([delivery().id]) == 1
    await state.attempted(delivery().id, attempt(Verdict.DELIVERED))
    await work_off(state, Outcome.DONE)
    assert (await the(state, delivery())).status is Status.DELIVERED
    assert await announce(state, delivery()) == []


async def test_old_deliveries_are_forgotten_unless_they_wait(state: StateStore) -> None:
    old = [delivery("v1", at=1), delivery("v2", at=2), delivery("v3", at=3), delivery("v4", at=4)]
    await announce(state, *old)
    done, dead, _, _ = await claim(state)
    await state.settle([Settlement(done, Outcome.DONE), Settlement(dead, Outcome.DEAD, "why")])
    held = delivery("v5", at=3, passed_over="too soon")
    await announce(state, held, delivery("v6", at=50, passed_over="too soon"))
    assert await state.prune_deliveries(10.0) == 3
    assert sorted(await ids(state)) == ["pets/v3/retrain", "pets/v4/retrain", "pets/v6/retrain"]
    assert await state.dead_letters() == []
    assert await state.prune_deliveries(10.0) == 0


async def test_a_dataset_is_forgotten_with_its_deliveries(state: StateStore) -> None:
    await announce(state, delivery())
    other = replace(delivery(), id="petshop/v1/retrain", dataset="petshop")
    await state.announce([other], cursor="trigger:retrain:petshop", value="1")
    await state.forget("pets")
    assert await ids(state) == ["petshop/v1/retrain"]
    assert await state.get("trigger:retrain:pets") is None
    assert await subjects(state) == [Subject(Kind.DELIVERY, "petshop/retrain", "petshop/v1/retrain")]
