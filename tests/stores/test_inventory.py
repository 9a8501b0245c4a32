"""S3 Inventory as a listing: what its files say, latest versions only, as of the time it was made."""

import csv
import gzip
import hashlib
import io
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote_plus

import orjson
import pyarrow
import pyarrow.parquet
import pytest

from syncd.domain.errors import Retryable
from syncd.stores.inventory import Inventoried
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock

FOLDER = "reports/photos/daily"
CREATED_S = 1_790_000_000
COLUMNS = ("Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size", "ETag")
PARQUET_NAMES = ("bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "e_tag")
PARQUET_SCHEMA = "message s3.inventory {  required binary bucket (UTF8);  required binary key (UTF8);" + "".join(
    f"  optional {kind} {name};"
    for kind, name in (
        ("binary", "version_id"),
        ("boolean", "is_latest"),
        ("boolean", "is_delete_marker"),
        ("int64", "size"),
        ("binary", "e_tag"),
    )
)
Row = tuple[str, str, str | None, bool, bool, int | None, str | None]


class Reports(MemoryStore):
    """The bucket with the reports, and Amazon's hand that writes them."""

    def __init__(self) -> None:
        super().__init__("s3://reports", FakeClock())

    def report(self, day: str, kind: str, files: Sequence[Sequence[Row]], other: Any = ()) -> None:
        named = []
        for number, rows in enumerate(files):
            data = _csv(rows) if kind == "CSV" else _parquet(rows)
            key = f"{FOLDER}/data/{day}-{number}.{'csv.gz' if kind == 'CSV' else 'parquet'}"
            self.put(key, data)
            named.append({"key": key, "size": len(data), "MD5checksum": _md5(data)})
        schema = ", ".join(COLUMNS) if kind == "CSV" else PARQUET_SCHEMA
        told = {
            "sourceBucket": "photos",
            "destinationBucket": "arn:aws:s3:::reports",
            "version": "2016-11-30",
            "creationTimestamp": str(CREATED_S * 1000),
            "fileFormat": kind,
            "fileSchema": schema,
            "files": named,
        }
        body = orjson.dumps(told | dict(other))
        self.put(f"{FOLDER}/{day}T01-00Z/manifest.json", body)
        self.put(f"{FOLDER}/{day}T01-00Z/manifest.checksum", _md5(body).encode())
        self.put(f"{FOLDER}/hive/dt={day}-01-00/symlink.txt", b"s3://reports/x")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    for bucket, key, *facts in rows:
        writer.writerow([bucket, quote_plus(key, safe="/"), *(_told(fact) for fact in facts)])
    return gzip.compress(text.getvalue().encode())


def _told(fact: object) -> object:
    return str(fact).lower() if isinstance(fact, bool) else fact


def _parquet(rows: Sequence[Row]) -> bytes:
    file = io.BytesIO()
    columns = zip(PARQUET_NAMES, zip(*rows, strict=True), strict=True)
    pyarrow.parquet.write_table(pyarrow.table({name: list(values) for name, values in columns}), file)
    return file.getvalue()


def plain(key: str, etag: str = "e1", size: int = 3) -> Row:
    return ("photos", key, None, True, False, size, etag)


def opened(reports: Reports) -> tuple[Inventoried, MemoryStore]:
    bucket = MemoryStore("s3://photos", FakeClock())
    return Inventoried(bucket, reports, FOLDER), bucket


async def listed(store: Inventoried, after: str = "") -> list[tuple[str, str | None, int | None]]:
    return [(ref.key, seen.etag, seen.size) async for page in store.list(after=after) for ref, seen in page]


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
async def test_files_in_any_order_are_one_listing_in_key_order(kind: str) -> None:
    keys = [f"{number:05d}/a b+c%2B é.jpg" for number in range(2_500)]
    random.Random(2).shuffle(keys)
    reports = Reports()
    reports.report("2026-11-20", kind, [[plain(key) for key in keys[start::3]] for start in range(3)])
    store, _ = opened(reports)
    assert await listed(store) == [(key, "e1", 3) for key in sorted(keys)]
    assert [len(page) async for page in store.list()] == [1_000, 1_000, 500]
    behind = sorted(keys)[1_233]
    assert [key for key, _, _ in await listed(store, behind)] == sorted(keys)[1_234:]


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
async def test_of_versions_only_the_latest_and_no_deleted_object(kind: str) -> None:
    rows: list[Row] = [
        ("photos", "a", "v1", False, False, 1, "old"),
        ("photos", "a", "v2", True, False, 2, "new"),
        ("photos", "gone", "v3", False, False, 1, "x"),
        ("photos", "gone", "v4", True, True, None, None),
    ]
    reports = Reports()
    reports.report("2026-11-20", kind, [rows])
    store, _ = opened(reports)
    (page,) = [page async for page in store.list()]
    ((ref, seen),) = page
    assert (ref.bucket, ref.key, seen.etag, seen.version_id, seen.size) == ("s3://photos", "a", "new", "v2", 2)


async def test_what_it_says_is_of_its_time_and_nobody_acts_on_it_without_a_look() -> None:
    reports = Reports()
    reports.report("2026-11-20", "CSV", [[plain("a")]])
    store, _ = opened(reports)
    (((_, seen),),) = [page async for page in store.list()]
    assert (seen.observed_at, seen.settled, store.late) == (CREATED_S, False, True)


async def test_everything_but_the_listing_is_of_the_bucket_itself() -> None:
    reports = Reports()
    reports.report("2026-11-20", "CSV", [[plain("a")]])
    store, bucket = opened(reports)
    bucket.put("newer", b"12345")
    assert (await store.head("newer")).size == 5
    assert (await store.head("a")).gone
    assert await store.get("newer", limit=9) == b"12345"


async def test_the_newest_complete_one_counts() -> None:
    reports = Reports()
    for day in ("2026-11-18", "2026-11-19", "2026-11-20"):
        reports.report(day, "CSV", [[plain(day)]])
    reports.delete(f"{FOLDER}/2026-11-20T01-00Z/manifest.checksum")
    store, _ = opened(reports)
    assert [key for key, _, _ in await listed(store)] == ["2026-11-19"]


async def test_none_that_is_complete_is_not_an_empty_bucket() -> None:
    store, _ = opened(Reports())
    with pytest.raises(Retryable, match="no complete inventory"):
        await listed(store)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"sourceBucket": "others"}, "is of the bucket 'others'"),
        ({"fileFormat": "ORC"}, "have the inventory made as Parquet or CSV"),
        ({"fileSchema": "Bucket, Key"}, "has no ETag, Size"),
        ({"files": 3}, "is no manifest"),
    ],
)
async def test_an_inventory_that_cannot_serve_says_why(manifest: dict[str, Any], said: str) -> None:
    reports = Reports()
    reports.report("2026-11-20", "CSV", [[plain("a")]], manifest)
    store, _ = opened(reports)
    with pytest.raises(Retryable, match=said):
        await listed(store)


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
async def test_a_damaged_file_is_never_a_shorter_listing(kind: str) -> None:
    reports = Reports()
    reports.report("2026-11-20", kind, [[plain(f"{n}") for n in range(500)]])
    (name,) = [ref.key async for page in reports.list() for ref, _ in page if "/data/" in ref.key]
    whole = await reports.get(name, limit=1 << 20)
    store, _ = opened(reports)
    for damaged in (whole[:-9], whole[: len(whole) // 2], whole[:40] + b"xxxx" + whole[44:]):
        reports.put(name, damaged)
        with pytest.raises(Retryable, match="not what its manifest says"):
            await listed(store)


@pytest.mark.parametrize("keep", [0.5, 0.99])
async def test_a_file_that_ends_too_early_is_noticed_without_a_checksum(keep: float) -> None:
    packed = _csv([plain(f"{n}") for n in range(500)])
    reports, cut = Reports(), packed[: int(len(packed) * keep)]
    reports.put(f"{FOLDER}/data/x", cut)
    reports.report("2026-11-20", "CSV", [], {"files": [{"key": f"{FOLDER}/data/x"}]})
    store, _ = opened(reports)
    with pytest.raises(Retryable, match="cannot be read"):
        await listed(store)


async def test_a_gzip_file_may_have_several_members() -> None:
    reports = Reports()
    reports.put(f"{FOLDER}/data/x", _csv([plain("a")]) + _csv([plain("b")]))
    reports.report("2026-11-20", "CSV", [], {"files": [{"key": f"{FOLDER}/data/x"}]})
    store, _ = opened(reports)
    assert [key for key, _, _ in await listed(store)] == ["a", "b"]
