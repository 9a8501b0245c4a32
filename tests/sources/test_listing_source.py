"""A bucket without notifications: its source asks for one listing and tells nothing of its own."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from syncd.domain.errors import ConfigError
from syncd.domain.notifications import BadEvent
from syncd.ports import Seen
from syncd.sources.listing import ListingOptions, ListingSource
from syncd.stores import Stores
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock
from tests.sources.waiting import until

CLOCK = FakeClock()
PHOTOS = MemoryStore("s3://photos", CLOCK)
STORES = Stores({"photos": PHOTOS}, CLOCK)


def source(**options: object) -> ListingSource:
    return ListingSource("archive", ListingOptions.model_validate(options), stores=STORES, clock=CLOCK)


async def test_it_asks_for_a_listing_and_delivers_nothing() -> None:
    rescans: list[None] = []

    async def deliver(seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        raise AssertionError

    made = source(buckets=["photos"], include=["*.jpg"])
    await made.check()
    job = asyncio.create_task(made.run(deliver, lambda: rescans.append(None)))
    await until("a listing is asked for", lambda: rescans)
    assert len(rescans) == 1
    assert not job.done()
    job.cancel()
    with suppress(asyncio.CancelledError):
        await job
    assert made.stores == {"s3://photos": PHOTOS}
    assert made.selection.accepts("a.jpg")
    assert not made.selection.accepts("a.txt")


def test_a_bucket_that_is_not_configured_is_told() -> None:
    with pytest.raises(ConfigError, match=r"must be one of the configured \[buckets.\*\]: photos"):
        source(buckets=["videos"])
