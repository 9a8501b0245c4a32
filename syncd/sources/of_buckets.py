"""What every source has that speaks of configured buckets: their names, a selection of keys, the stores behind them.

The base of all sources but the folder, which is a bucket of its own.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from syncd.domain.routing import Selection
from syncd.ports import Clock, ObjectStore, Stores


class BucketsOptions(BaseModel):
    """The options they share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    buckets: tuple[str, ...] = Field(
        min_length=1, description="Names of the [buckets.*] whose events come here; those of others are dropped."
    )
    include: tuple[str, ...] = Field((), description="Globs of the keys wanted, such as **/*.jpg. Default: all.")
    exclude: tuple[str, ...] = Field((), description="Globs of keys not wanted; wins over include. Default: none.")
    hidden: bool = Field(False, description="Whether names starting with a dot count. Default: false.")


class BucketsSource:
    """Name, selection and stores, as the port `EventSource` has them."""

    def __init__(self, name: str, options: BucketsOptions, *, stores: Stores, clock: Clock) -> None:
        self.name = name
        origin = f"sources.{name}"
        self.selection = Selection(options.include, options.exclude, hidden=options.hidden, origin=origin)
        opened = [stores.bucket(bucket) for bucket in options.buckets]
        self.stores: Mapping[str, ObjectStore] = {store.bucket: store for store in opened}
        self._clock = clock
