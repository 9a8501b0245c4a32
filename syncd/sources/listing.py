"""A bucket that sends no notifications: what is new, changed or gone in it is found by reconcile alone.

Made by the service under the type `listing`. Tasks then follow the bucket by `reconcile.every`, and a listing costs
its requests each time: where notifications are to be had, they are quicker and cheaper.
"""

import asyncio
from collections.abc import Callable

from syncd.ports import Clock, Deliver, Stores
from syncd.sources.of_buckets import BucketsOptions, BucketsSource


class ListingOptions(BucketsOptions):
    """The options of a source of type `listing`."""


class ListingSource(BucketsSource):
    """Names buckets, and tells nothing of its own."""

    Options = ListingOptions

    def __init__(self, name: str, options: ListingOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)

    async def check(self) -> None:
        """Nothing is there to look at but the bucket, and whether that answers is seen by the first listing."""

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says: asks for one listing at the start; the rest is the reconciler's timer."""
        rescan()
        await asyncio.Event().wait()
