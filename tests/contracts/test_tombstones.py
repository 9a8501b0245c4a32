"""What the state remembers of a deletion, so that an older event cannot bring the object back: on every store."""

import pytest

from syncd.domain.model import Claim, Kind, Mark, ObjectRef, Observation, Outcome, Settlement, Subject
from syncd.ports import StateStore
from tests.clock import FakeClock
from tests.contracts.states import clock, open_store, state

__all__ = ["clock", "open_store", "state"]

CAT = Subject(Kind.OBJECT, "pets", ObjectRef("s3://photos", "cat.jpg").id)
DOG = Subject(Kind.OBJECT, "pets", ObjectRef("s3://photos", "dog.jpg").id)


def gone(sequencer: str | None, at: float = 5.0) -> Observation:
    return Observation(at, sequencer=sequencer, gone=True)


def created(sequencer: str | None, etag: str = "e", at: float = 5.0) -> Observation:
    return Observation(at, etag, sequencer=sequencer)


async def claims(state: StateStore) -> list[Claim]:
    return await state.claim(limit=10, lease=60)


async def settle(state: StateStore, outcome: Outcome = Outcome.DONE, *, vanished: bool = True) -> None:
    await state.settle([Settlement(claim, outcome, vanished=vanished) for claim in await claims(state)])


async def bury(state: StateStore, sequencer: str = "5") -> None:
    await state.mark([Mark(CAT, gone(sequencer))])
    await settle(state)


async def test_a_deletion_that_is_settled_is_in_no_backlog_and_no_claim(state: StateStore, clock: FakeClock) -> None:
    await bury(state)
    clock.advance(1e6)
    assert await state.backlog() == []
    assert await claims(state) == []
    assert await state.dead_letters() == []
    assert await state.drop([CAT]) == await state.revive([CAT]) == 0


@pytest.mark.parametrize("late", [created("3"), created("3", at=99.0), gone("3"), gone("5"), gone("5", at=99.0)])
async def test_an_event_of_before_a_deletion_or_that_deletion_again_leaves_it_be(
    state: StateStore, late: Observation
) -> None:
    await bury(state)
    await state.mark([Mark(CAT, late), Mark(CAT, late, revive=False), Mark(DOG, late)])
    assert [claim.subject for claim in await claims(state)] == [DOG]


@pytest.mark.parametrize(
    "seen", [created("7"), gone("7"), created("5"), created(None), created(None, at=1.0), gone(None), None]
)
async def test_news_of_it_are_a_reason_to_look(state: StateStore, clock: FakeClock, seen: Observation | None) -> None:
    await bury(state)
    clock.advance(100)
    await state.mark([Mark(CAT, seen)])
    (lane,) = await state.backlog()
    assert (lane.pending, lane.oldest) == (1, clock.now())
    (claim,) = await claims(state)
    assert claim.observation
    assert (claim.observation.gone, claim.observation.version, claim.attempts) == (False, None, 0)
    assert claim.observation.sequencer == (seen.sequencer if seen and seen.sequencer else "5")


async def test_what_was_looked_at_in_vain_is_old_from_then_on(state: StateStore) -> None:
    await bury(state)
    await state.mark([Mark(CAT, created("7"))])
    await settle(state)
    await state.mark([Mark(CAT, created("6"))])
    assert await claims(state) == []
    await state.mark([Mark(CAT, created("8"))])
    assert len(await claims(state)) == 1


@pytest.mark.parametrize("told", [None, gone(None), Observation(5.0)])
async def test_of_one_that_vanished_without_an_order_every_event_is_news(
    state: StateStore, told: Observation | None
) -> None:
    await state.mark([Mark(CAT, told)])
    await settle(state)
    assert await state.backlog() == []
    await state.mark([Mark(CAT, created("1"))])
    (claim,) = await claims(state)
    assert claim.observation
    assert claim.observation.version is None, "it has to be looked at"


async def test_a_late_event_while_the_deletion_is_worked_on_does_not_outlive_it(state: StateStore) -> None:
    await state.mark([Mark(CAT, gone("5"))])
    (claim,) = await claims(state)
    await state.mark([Mark(CAT, created("3"))])
    await state.settle([Settlement(claim, Outcome.DONE, vanished=True)])
    (again,) = await claims(state)
    assert again.observation == gone("5")
    await state.settle([Settlement(again, Outcome.DONE, vanished=True)])
    await state.mark([Mark(CAT, created("4"))])
    assert await claims(state) == []


async def test_what_is_done_and_did_not_vanish_is_not_remembered(state: StateStore) -> None:
    await state.mark([Mark(CAT, gone("5"))])
    await settle(state, vanished=False)
    assert await state.prune_gone(1e12) == 0
    await state.mark([Mark(CAT, created("3"))])
    (claim,) = await claims(state)
    assert (claim.observation, claim.generation) == (created("3"), 1)


@pytest.mark.parametrize("outcome", [Outcome.AGAIN, Outcome.DEAD])
async def test_a_deletion_that_failed_is_not_over(state: StateStore, outcome: Outcome) -> None:
    await state.mark([Mark(CAT, gone("5"))])
    await settle(state, outcome)
    await state.mark([Mark(CAT, created("3"))])
    (claim,) = await claims(state)
    assert claim.observation == gone("5")


async def test_old_deletions_are_forgotten_and_young_ones_are_not(state: StateStore, clock: FakeClock) -> None:
    await bury(state)
    clock.advance(10)
    await state.mark([Mark(DOG, gone("5"))])
    await settle(state)
    assert await state.prune_gone(clock.now()) == 1
    assert await state.prune_gone(clock.now()) == 0
    await state.mark([Mark(CAT, created("3")), Mark(DOG, created("3"))])
    assert [claim.subject for claim in await claims(state)] == [CAT]


async def test_deletions_of_a_dataset_that_is_forgotten_are_too(state: StateStore) -> None:
    await bury(state)
    await state.forget("pets")
    await state.mark([Mark(CAT, created("3"))])
    assert len(await claims(state)) == 1
