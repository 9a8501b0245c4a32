"""Which traces a subject carries through the state, since when it waits, and how many claims were lost."""

from dataclasses import replace

from syncd.domain.model import Claim, Kind, Mark, Outcome, Settlement, Subject
from syncd.ports import StateStore
from syncd.state.rules import TRACES_KEPT
from tests.clock import FakeClock
from tests.contracts.states import clock, open_store, state

__all__ = ["clock", "open_store", "state"]

CAT = Subject(Kind.TASK, "pets", "1")
DOG = Subject(Kind.TASK, "pets", "2")


def trace(n: int) -> str:
    return f"00-{n:032x}-{n:016x}-01"


async def mark(state: StateStore, *traces: int, subject: Subject = CAT) -> None:
    for n in traces:
        await state.mark([Mark(subject, trace=trace(n))])


async def claim(state: StateStore) -> Claim:
    (one,) = await state.claim(limit=9, lease=60)
    return one


async def test_a_claim_brings_the_traces_of_all_its_marks_back_each_once_in_order(state: StateStore) -> None:
    await state.mark([Mark(CAT), Mark(CAT, trace=trace(2))])
    await mark(state, 1, 2, 3)
    assert (await claim(state)).traces == (trace(2), trace(1), trace(3))


async def test_of_many_the_first_and_the_last_are_kept(state: StateStore) -> None:
    await mark(state, *range(1, 41))
    kept = (await claim(state)).traces
    assert len(kept) == TRACES_KEPT
    assert (kept[0], kept[-1]) == (trace(1), trace(40))


async def test_a_try_that_failed_goes_on_in_its_trace_and_one_that_was_done_begins_anew(state: StateStore) -> None:
    await mark(state, 1)
    await state.settle([Settlement(await claim(state), Outcome.AGAIN)])
    again = await claim(state)
    assert again.traces == (trace(1),)
    await state.settle([Settlement(again, Outcome.DONE)])
    await mark(state, 2)
    assert (await claim(state)).traces == (trace(2),)


async def test_what_was_marked_while_it_was_worked_on_is_a_trace_of_its_own(state: StateStore) -> None:
    await mark(state, 1)
    held = await claim(state)
    await mark(state, 2)
    await state.settle([Settlement(held, Outcome.DONE)])
    assert (await claim(state)).traces == (trace(2),)


async def test_a_dead_letter_and_a_deletion_leave_no_trace_to_what_comes_later(state: StateStore) -> None:
    for outcome, vanished in ((Outcome.DEAD, False), (Outcome.DONE, True)):
        await mark(state, 1)
        await state.settle([Settlement(await claim(state), outcome, vanished=vanished)])
        await mark(state, 2)
        found = await claim(state)
        assert found.traces == (trace(2),)
        await state.settle([Settlement(found, Outcome.DONE)])


async def test_a_claim_tells_since_when_its_subject_waits(state: StateStore, clock: FakeClock) -> None:
    since = clock.now()
    await mark(state, 1)
    clock.advance(5)
    await mark(state, 2)
    held = await claim(state)
    assert held.marked_at == since
    await state.settle([Settlement(held, Outcome.AGAIN)])
    clock.advance(5)
    assert (await claim(state)).marked_at == since


async def test_how_many_claims_were_lost_is_told_by_who_renews_and_settles_them(
    state: StateStore, clock: FakeClock
) -> None:
    await mark(state, 1)
    await mark(state, 1, subject=DOG)
    held = await state.claim(limit=9, lease=60)
    assert await state.renew(held, lease=60) == 0
    assert await state.renew([], lease=60) == await state.settle([]) == 0
    lost = [replace(held[0], token="another"), held[1]]
    assert await state.renew(lost, lease=60) == 1
    clock.advance(61)
    assert await state.settle([Settlement(one, Outcome.DONE) for one in lost]) == 1
    assert await state.settle([Settlement(one, Outcome.DONE) for one in held]) == 1, "the other one is done"
