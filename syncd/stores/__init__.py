"""Object data of one bucket, over the `ObjectStore` port. `Stores` is how the service makes them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.routing import folder_path
from syncd.ports import Clock, Folder, ObjectStore
from syncd.stores.folder import FolderStore

__all__ = ["CloudBucket", "Stores", "open_cloud"]


@dataclass(frozen=True, slots=True)
class CloudBucket:
    """A bucket of a cloud: what `[buckets.NAME]` says of it. `field`: where that stands, such as `buckets.photos`.

    `options(field)` are endpoint, region and credentials by their object_store names, secrets read anew. The rest is
    of S3 only.
    """

    field: str
    url: str
    options: Callable[[str], Mapping[str, str]]
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    inventory: str | None = None


def open_cloud(bucket: CloudBucket, clock: Clock) -> ObjectStore:
    """The store of a cloud's bucket, reached when first used; every call of it may raise ConfigError.

    The clouds' libraries are imported here: they take half a second, and folders need none of them.
    """
    from syncd.clouds.aws import AwsAccess  # noqa: PLC0415
    from syncd.stores.cloud import Cloud  # noqa: PLC0415
    from syncd.stores.inventory import Inventoried  # noqa: PLC0415

    aws = AwsAccess(profile=bucket.profile, role_arn=bucket.role_arn, external_id=bucket.external_id)

    def opened(url: str) -> Cloud:
        return Cloud(url, lambda: bucket.options(bucket.field), clock, aws, field=bucket.field)

    if bucket.inventory is None:
        return opened(bucket.url)
    reports, _, folder = bucket.inventory.removeprefix("s3://").partition("/")
    return Inventoried(opened(bucket.url), opened(f"s3://{reports}"), folder)


class Stores:
    """The stores of one process. `buckets`: those of `[buckets.*]`, by name. `watch` is put around each."""

    def __init__(
        self,
        buckets: Mapping[str, ObjectStore],
        clock: Clock,
        watch: Callable[[ObjectStore], ObjectStore] = lambda store: store,
    ) -> None:
        self._buckets = {name: watch(store) for name, store in buckets.items()}
        self._clock = clock
        self._watch = watch

    def bucket(self, name: str) -> ObjectStore:
        """As the port says."""
        if name not in self._buckets:
            known = ", ".join(sorted(self._buckets)) or "none"
            raise ConfigError([Problem("buckets", repr(name), f"must be one of the configured [buckets.*]: {known}")])
        return self._buckets[name]

    def folder(self, url: str, *, hidden: bool = False, settle: float = 0.0) -> Folder:
        """As the port says. ConfigError: another scheme, or another form."""
        if urlsplit(url).scheme != "file":
            raise ConfigError([Problem("bucket", repr(url), "a folder as file:///absolute/path")])
        try:
            path = folder_path(url)
        except ValueError as error:
            raise ConfigError([Problem("bucket", str(error), "a folder as file:///absolute/path")]) from None
        store = FolderStore(Path(path), hidden=hidden, settle=settle, now=self._clock.now)
        return cast("Folder", self._watch(store))

    async def close(self) -> None:
        """Release all connections. Idempotent."""
        await asyncio.gather(*(store.close() for store in self._buckets.values()))
