"""S3 Inventory as a bucket's listing: for very large buckets, where listing takes hours and costs a request a page.

Made by `stores.open_cloud`. Read is the newest inventory whose `manifest.checksum` is there and right, in CSV (gzip)
or Parquet; of a bucket with versions, the latest ones. Its files are not sorted among each other: they are sorted here
(`sorting` says what that takes), one file at a time on disk. What it says is of the time it was begun, hours or a day
ago: every observation carries that time and is not settled, so that nobody acts on it without a look, and `late` says
that what is missing may be newer than it.

Format: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import asyncio
import csv
import hashlib
import io
import re
import tempfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import IO, Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, ValidationError

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.etags import bare_etag
from syncd.ports import Entry, Listed, ObjectStore, Seen
from syncd.stores.sorting import in_key_order

_DATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\dZ/manifest\.(json|checksum)")
_MANIFEST_LIMIT = 64 << 20
_BATCH = 10_000
_NEEDED = {"Key", "ETag", "Size"}


class _File(BaseModel):
    """One file of an inventory."""

    key: str
    checksum: str = Field("", alias="MD5checksum")


class Manifest(BaseModel):
    """What `manifest.json` says of an inventory."""

    source: str = Field(alias="sourceBucket")
    created_ms: int = Field(alias="creationTimestamp")
    format: str = Field(alias="fileFormat")
    fields: str = Field(alias="fileSchema")
    files: list[_File]

    @property
    def columns(self) -> list[str]:
        """The fields by name, in the order of a CSV file's columns, spelled as CSV spells them."""
        if self.format == "CSV":
            return [name.strip() for name in self.fields.split(",")]
        return [_spelled(name) for name in re.findall(r"(?:required|optional) \S+ (\w+)", self.fields)]


class Inventoried:
    """Implements `ports.ObjectStore`: everything of the bucket itself, but for its listing. `folder`: in `reports`."""

    late = True

    def __init__(self, store: ObjectStore, reports: ObjectStore, folder: str) -> None:
        self.bucket = store.bucket
        self._reports = reports
        self._folder = folder.strip("/")
        self._store = store
        self.head, self.get, self.write, self.remove = store.head, store.get, store.write, store.remove
        self.sign, self.stream = store.sign, store.stream

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """As the port says, as of the newest inventory. Retryable: there is none that can be read."""
        manifest = await self._newest()
        seen_at, behind = manifest.created_ms / 1000, after.encode()
        async with aclosing(in_key_order(self._entries(manifest))) as pages:
            async for page in pages:
                if found := [entry for entry in page if entry[0].encode() > behind]:
                    yield Listed(self.bucket, seen_at, found, settled=False)

    async def close(self) -> None:
        """As the port says."""
        await asyncio.gather(self._store.close(), self._reports.close())

    async def _newest(self) -> Manifest:
        """The newest one that is complete: its checksum is written last."""
        names = [key async for key in self._dated()]
        complete = {name for name in names if name.replace("manifest.json", "manifest.checksum") in set(names)}
        newest = max((name for name in complete if name.endswith("/manifest.json")), default=None)
        if newest is None:
            raise Retryable(f"no complete inventory in {self._reports.bucket}/{self._folder}; the first takes two days")
        data = await self._reports.get(newest, limit=_MANIFEST_LIMIT)
        told = await self._reports.get(newest.replace("manifest.json", "manifest.checksum"), limit=1024)
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != told.decode(errors="replace").strip():
            raise Retryable(f"{newest} is not what its checksum says")
        return self._checked(newest, data)

    async def _dated(self) -> AsyncIterator[str]:
        """The manifests, which come before the data: their folders begin with a digit."""
        start = f"{self._folder}/"
        async with aclosing(self._reports.list(after=start)) as pages:  # type: ignore[type-var]
            async for page in pages:
                for ref, _ in page:
                    if not ref.key.startswith(start) or ref.key[len(start) :] > "a":
                        return
                    if _DATED.fullmatch(ref.key[len(start) :]):
                        yield ref.key

    def _checked(self, name: str, data: bytes) -> Manifest:
        try:
            manifest = Manifest.model_validate_json(data)
        except ValidationError:
            raise Retryable(f"{name} is no manifest of an inventory") from None
        if manifest.source != self.bucket.removeprefix("s3://"):
            raise Retryable(f"{name} is of the bucket {manifest.source!r}, not of {self.bucket}; mend `inventory`")
        if manifest.format not in {"CSV", "Parquet"}:
            raise Retryable(f"{name} is in {manifest.format}; have the inventory made as Parquet or CSV")
        if missing := _NEEDED - set(manifest.columns):
            raise Retryable(f"{name} has no {', '.join(sorted(missing))}; add these fields to the inventory")
        return manifest

    async def _entries(self, manifest: Manifest) -> AsyncGenerator[Sequence[Entry]]:
        for file in manifest.files:
            with tempfile.TemporaryFile(prefix="syncd-inventory-") as local:
                await self._fetch(file, local)
                rows = _rows(manifest, local)
                while page := await asyncio.to_thread(_next, rows, file.key):
                    yield page

    async def _fetch(self, file: _File, local: IO[bytes]) -> None:
        """The file as it is, checked against the manifest."""
        digest = hashlib.md5(usedforsecurity=False)
        try:
            async for piece in self._reports.stream(file.key):
                digest.update(piece)
                await asyncio.to_thread(local.write, piece)
        except Rejected:
            raise Retryable(f"{file.key} of the inventory is gone; the next inventory will do") from None
        except OSError as error:
            raise Retryable(f"no room for {file.key} of the inventory: {error.strerror}") from None
        if file.checksum and digest.hexdigest() != file.checksum:
            raise Retryable(f"{file.key} of the inventory is not what its manifest says")
        local.seek(0)


def _next(rows: Iterator[Entry], name: str) -> list[Entry]:
    """A page, of bytes that somebody else wrote."""
    import pyarrow  # noqa: PLC0415 - comes with Lance, and takes a while

    try:
        return list(islice(rows, _BATCH))
    except (ValueError, KeyError, IndexError, TypeError, OSError, csv.Error, zlib.error, pyarrow.ArrowException):
        raise Retryable(f"{name} of the inventory cannot be read; the next inventory may be better") from None


def _rows(manifest: Manifest, file: IO[bytes]) -> Iterator[Entry]:
    rows = _csv_rows(manifest.columns, file) if manifest.format == "CSV" else _parquet_rows(file)
    for row in rows:
        if _is(row.get("IsLatest", "true")) and not _is(row.get("IsDeleteMarker", "false")):
            version = row.get("VersionId") or None
            size, etag = row.get("Size"), row.get("ETag")
            key = unquote_plus(row["Key"], errors="strict") if manifest.format == "CSV" else row["Key"]
            yield key, bare_etag(etag) if etag else None, int(size or 0), version if version != "null" else None


def _csv_rows(columns: Sequence[str], file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Keys are percent-encoded as in forms, so no line has a break in it."""
    unpacked = io.TextIOWrapper(io.BufferedReader(_Unpacked(file)), encoding="utf-8", newline="")
    return (dict(zip(columns, row, strict=True)) for row in csv.reader(unpacked))


class _Unpacked(io.RawIOBase):
    """A gzip file while it is read, however many members it has; of one that ends too early, an error."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflating = zlib.decompressobj(31)
        self._begun = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: Any) -> int:
        """At most as much as there is room for: a small file that unpacks to a large one does no harm."""
        while True:
            packed = self._inflating.unconsumed_tail or self._inflating.unused_data
            if self._inflating.eof:
                self._inflating, self._begun = zlib.decompressobj(31), False
            packed = packed or self._file.read(1 << 16)
            if not packed:
                if self._begun:
                    raise zlib.error("the file ends too early")
                return 0
            self._begun = True
            if data := self._inflating.decompress(packed, len(into)):
                into[: len(data)] = data
                return len(data)


def _parquet_rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet  # noqa: PLC0415 - comes with Lance, and takes a while

    opened = pyarrow.parquet.ParquetFile(file)
    names = {name: _spelled(name) for name in opened.schema_arrow.names}
    wanted = [name for name, spelled in names.items() if spelled in _SPELLED.values()]
    for batch in opened.iter_batches(batch_size=_BATCH, columns=wanted):
        for row in batch.to_pylist():
            yield {names[name]: value for name, value in row.items()}


_SPELLED = {
    "key": "Key",
    "version_id": "VersionId",
    "is_latest": "IsLatest",
    "is_delete_marker": "IsDeleteMarker",
    "size": "Size",
    "e_tag": "ETag",
}


def _spelled(column: str) -> str:
    """Parquet's name of a field as CSV has it."""
    return _SPELLED.get(column, column)


def _is(value: object) -> bool:
    return value is True or str(value).lower() == "true"
