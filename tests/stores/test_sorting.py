"""Listings of any order are put in the order of the keys' bytes, within bounded memory."""

import random
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.ports import Entry
from syncd.stores import sorting
from syncd.stores.sorting import in_key_order


async def pages(entries: Sequence[Entry], size: int) -> AsyncIterator[Sequence[Entry]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True), st.integers(1, 5))
async def test_whatever_is_spilled_comes_back_in_order(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], size: int
) -> None:
    monkeypatch.setattr(sorting, "RUN", 7)
    monkeypatch.setattr(sorting, "BLOCK", 3)
    entries: list[Entry] = [(key, f"e{number}", number, None) for number, key in enumerate(keys)]
    found = [entry async for page in in_key_order(pages(entries, size)) for entry in page]
    assert found == sorted(entries, key=lambda entry: entry[0].encode())


async def test_memory_holds_one_run_however_long_the_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUN", 5_000)
    chance = random.Random(1)

    async def many() -> AsyncIterator[Sequence[Entry]]:
        for _ in range(100):
            yield [(f"{chance.random():.17f}", "e", 1, None) for _ in range(1_000)]

    tracemalloc.start()
    last, count = "", 0
    async for page in in_key_order(many()):
        assert page[0][0] > last
        last, count = page[-1][0], count + len(page)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100_000
    assert most < 6_000_000
