"""Snapshots with media for tests: objects in a folder or on a real S3 server, and rows that were labelled on them."""

import shutil
import uuid
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore
from PIL import Image

from syncd import open_snapshot
from syncd.domain.etags import bare_etag
from syncd.domain.model import StagedChange
from syncd.snapshots.location import open_root
from syncd.snapshots.store import LanceSnapshots
from syncd.stores import Stores
from syncd.training.media import MediaCache
from syncd.training.snapshot import Snapshot
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import put

COLOURS = ("red", "green", "blue", "black", "white", "yellow")


def picture(colour: str, size: tuple[int, int] = (8, 6)) -> bytes:
    """A PNG in one colour."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@dataclass
class Bucket:
    """A bucket that can be written, and the etags that the daemon would see."""

    url: str
    objects: ObjectStore
    folder: Path | None = None

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whole and at once."""
        obstore.put(self.objects, key, data, use_multipart=False)

    async def etag(self, key: str) -> str | None:
        """What the daemon's store says of a folder's file; of an S3 object what a notification carries: no quotes."""
        if self.folder:
            return (await Stores({}, FakeClock()).folder(self.url).head(key)).etag
        return bare_etag(obstore.head(self.objects, key)["e_tag"] or "")


def folder_bucket(folder: Path) -> Bucket:
    """A folder as a bucket."""
    folder.mkdir(parents=True)
    return Bucket(folder.as_uri(), open_root(folder.as_uri()).objects, folder)


def s3_bucket(seaweed: Seaweed) -> Bucket:
    """The server's bucket."""
    url = f"s3://{seaweed.bucket}"
    return Bucket(url, open_root(url, seaweed.options).objects)


@dataclass
class Labelled:
    """One dataset with media: `put` labels objects, `open` gives the newest version."""

    root: Path
    bucket: Bucket
    options: dict[str, str] = field(default_factory=dict)
    cache: MediaCache | None = None
    prefix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    async def change(self, key: str, data: bytes | None, /, **fields: Any) -> StagedChange:
        """The row of an object as it is now; `data` is written before."""
        if data is not None:
            self.bucket.put(key, data)
        uri = f"{self.bucket.url}/{key}"
        where = {"bucket": self.bucket.url, "key": key, "object_uri": uri, "etag": await self.bucket.etag(key)}
        return put(fields.pop("annotation_id", key), task_id=key, **{**where, **fields})

    async def commit(self, *changes: StagedChange) -> None:
        """One version more."""
        await LanceSnapshots(self.root.as_uri(), clock=FakeClock()).commit("fruits", changes, "h")

    async def label(self, objects: dict[str, bytes], **fields: Any) -> None:
        """Write objects and label them, as one version."""
        await self.commit(*[await self.change(key, data, **fields) for key, data in objects.items()])

    def open(self) -> Snapshot:
        """The newest version."""
        return open_snapshot(self.root / "fruits", media_options=self.options, media_cache=self.cache)

    def forget(self) -> None:
        """Empty the cache."""
        if self.cache:
            shutil.rmtree(self.cache.folder, ignore_errors=True)
