"""A bucket that sends no notifications: what is new, changed or gone in it is found by reconcile alone.

Made by the service under the type `listing`. Tasks then follow the bucket by `reconcile.every`, and a listing costs
its requests each time: where notifications are to be had, they are quicker and cheaper.
"""

import asyncio
from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from syncd.domain.routing import Selection
from syncd.ports import Clock, Deliver, ObjectStore, Stores


class ListingOptions(BaseModel):
    """The options of a source of type `listing`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    buckets: tuple[str, ...] = Field(min_length=1, description="Names of the [buckets.*] that are listed.")
    include: tuple[str, ...] = Field((), description="Globs of the keys wanted, such as **/*.jpg. Default: all.")
    exclude: tuple[str, ...] = Field((), description="Globs of keys not wanted; wins over include. Default: none.")
    hidden: bool = Field(False, description="Whether names starting with a dot count. Default: false.")


class ListingSource:
    """Names buckets, and tells nothing of its own."""

    Options = ListingOptions

    def __init__(self, name: str, options: ListingOptions, *, stores: Stores, clock: Clock) -> None:
        self.name = name
        origin = f"sources.{name}"
        self.selection = Selection(options.include, options.exclude, hidden=options.hidden, origin=origin)
        opened = [stores.bucket(bucket) for bucket in options.buckets]
        self.stores: Mapping[str, ObjectStore] = {store.bucket: store for store in opened}

    async def check(self) -> None:
        """Nothing is there to look at but the bucket, and whether that answers is seen by the first listing."""

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says: asks for one listing at the start; the rest is the reconciler's timer."""
        rescan()
        await asyncio.Event().wait()
