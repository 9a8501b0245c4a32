"""Bad events are kept for a person: every sentence of `ports.Quarantine`, on every store there is."""

import asyncio

import pytest

from syncd.domain.notifications import EXCERPT, BadEvent
from syncd.ports import QUARANTINE_KEPT, StateStore
from tests.clock import FakeClock
from tests.contracts.states import clock, open_store, state

__all__ = ["clock", "open_store", "state"]

NUL = BadEvent("invalid_key", "a key cannot hold NUL", b'{"key": "a\\u0000b"}')
ODD = BadEvent("malformed", "no key", b"\xff\x00{}")


async def test_a_bad_event_comes_back_as_it_was(state: StateStore, clock: FakeClock) -> None:
    await state.quarantine("photos", [NUL, ODD])
    odd, nul = await state.quarantined()
    assert (nul.source, nul.reason, nul.detail, nul.excerpt) == ("photos", NUL.reason, NUL.detail, NUL.excerpt)
    assert (odd.excerpt, odd.count, odd.first_at, odd.last_at) == (ODD.excerpt, 1, clock.now(), clock.now())
    assert odd.id != nul.id


async def test_the_same_event_again_is_counted_and_dated(state: StateStore, clock: FakeClock) -> None:
    first = clock.now()
    await state.quarantine("photos", [NUL, NUL])
    clock.advance(60)
    await state.quarantine("photos", [BadEvent(NUL.reason, "said otherwise", NUL.excerpt)])
    (kept,) = await state.quarantined()
    assert (kept.count, kept.first_at, kept.last_at, kept.detail) == (3, first, first + 60, "said otherwise")


async def test_events_of_another_source_reason_or_text_are_others(state: StateStore) -> None:
    await state.quarantine("photos", [NUL, BadEvent("malformed", "", NUL.excerpt), BadEvent(NUL.reason, "", b"other")])
    await state.quarantine("scans", [NUL])
    assert len({kept.id for kept in await state.quarantined()}) == 4
    assert await state.quarantine_counts() == {"photos": 3, "scans": 1}


async def test_they_are_listed_from_the_latest_on_by_source_if_wanted(state: StateStore, clock: FakeClock) -> None:
    for n, source in enumerate(["a", "b", "a", "a"]):
        await state.quarantine(source, [BadEvent("malformed", str(n), str(n).encode())])
        clock.advance(1)
    await state.quarantine("a", [BadEvent("malformed", "0 again", b"0")])
    assert [kept.detail for kept in await state.quarantined()] == ["0 again", "3", "2", "1"]
    assert [kept.detail for kept in await state.quarantined("a", limit=2)] == ["0 again", "3"]
    assert await state.quarantined("unknown") == []


async def test_the_newest_of_each_source_stay(state: StateStore, clock: FakeClock) -> None:
    await state.quarantine("quiet", [NUL])
    await state.quarantine("loud", [BadEvent("malformed", "", b"%d" % n) for n in range(QUARANTINE_KEPT)])
    clock.advance(1)
    await state.quarantine("loud", [BadEvent("malformed", "", b"0"), NUL, ODD])
    assert await state.quarantine_counts() == {"loud": QUARANTINE_KEPT, "quiet": 1}
    excerpts = {kept.excerpt for kept in await state.quarantined("loud", QUARANTINE_KEPT)}
    assert {b"0", NUL.excerpt, ODD.excerpt} <= excerpts
    assert len({b"1", b"2"} & excerpts) == 0


async def test_those_that_are_dropped_are_gone_and_may_come_back(state: StateStore) -> None:
    await state.quarantine("photos", [NUL, ODD])
    odd, nul = await state.quarantined()
    assert await state.drop_quarantined([nul.id, nul.id, "unknown"]) == 1
    assert await state.quarantined() == [odd]
    await state.quarantine("photos", [NUL])
    assert {kept.count for kept in await state.quarantined()} == {1}
    assert await state.drop_quarantined([]) == 0


@pytest.mark.parametrize("detail", ["\ud800 and \x1b[31m", "x\x00y"])
async def test_whatever_it_says_it_is_kept(state: StateStore, detail: str) -> None:
    await state.quarantine("photos", [BadEvent("malformed", detail, b"x" * EXCERPT * 2)])
    (kept,) = await state.quarantined()
    assert kept.detail.encode()
    assert len(kept.excerpt) == EXCERPT


async def test_no_bad_events_are_fine(state: StateStore) -> None:
    await state.quarantine("photos", [])
    assert await state.quarantined() == []
    assert await state.quarantine_counts() == {}


async def test_events_that_come_at_once_are_all_counted(state: StateStore) -> None:
    await asyncio.gather(*(state.quarantine("photos", [NUL]) for _ in range(20)))
    (kept,) = await state.quarantined()
    assert kept.count == 20
