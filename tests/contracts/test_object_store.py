"""What every object store keeps to (`ports.ObjectStore`): the reference, the folder, S3 (SeaweedFS), Azure (Azurite).

Google Cloud Storage has no server or emulator that could be had here: its dialect is tested on documented answers, in
`tests/stores`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.domain.errors import Conflict, Rejected
from syncd.domain.model import Observation
from syncd.ports import ObjectStore
from syncd.runtime.clock import SystemClock
from syncd.stores.cloud import Cloud
from syncd.stores.folder import FolderStore
from syncd.stores.memory import MemoryStore
from tests.azurite import Azurite
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.stores.buckets import make_bucket

HOSTILE = [
    "a b+c%2B%.jpg",
    "a%252Fb",
    "#?&=",
    "😀/ü/日本.png",
    "line\nbreak\r.txt",
    "\x1b[31mred",
    "back\\slash",
    "trailing.dot.",
    " space at both ends ",
    "'quotes\"",
    "x" * 200 + "/" + "y" * 200,
]


FOLDED_BY_SEAWEEDFS = {"a/", "/a/b", "a//b", "../up", "a/../a/b", "./a"}
"""It holds a tree of folders: these lead to another object there, or are refused (400)."""


class Bucket(Protocol):
    """A store under test, and which of the hostile keys its server can hold at all."""

    store: ObjectStore
    hostile: list[str]

    async def put(self, key: str, data: bytes) -> None: ...

    async def delete(self, key: str) -> None: ...


class MemoryBucket:
    hostile = HOSTILE

    def __init__(self) -> None:
        self._memory = MemoryStore("memory://photos", FakeClock())
        self.store: ObjectStore = self._memory

    async def put(self, key: str, data: bytes) -> None:
        self._memory.put(key, data)

    async def delete(self, key: str) -> None:
        self._memory.delete(key)


class FolderBucket:
    hostile = HOSTILE

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store: ObjectStore = FolderStore(root)

    async def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    async def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)


class CloudBucket:
    """SeaweedFS makes a slash of a backslash; Azurite does too, and forbids control characters, as Azure does."""

    def __init__(self, url: str, options: dict[str, str], hostile: Iterable[str]) -> None:
        self.store: ObjectStore = Cloud(url, lambda: options, SystemClock())
        self.hostile = list(hostile)

    async def put(self, key: str, data: bytes) -> None:
        await self.store.write(key, data)

    async def delete(self, key: str) -> None:
        await self.store.remove(key)


@pytest.fixture(params=["memory", "folder", "seaweed", "azurite"])
async def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    made = await opened(request, tmp_path)
    yield made
    await made.store.close()


async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "seaweed":
        seaweed: Seaweed = request.getfixturevalue("seaweed")
        name = f"contract-{uuid.uuid4().hex[:12]}"
        await make_bucket(name, seaweed.options)
        return CloudBucket(f"s3://{name}", seaweed.options, (key for key in HOSTILE if "\\" not in key))
    if request.param == "azurite":
        azurite: Azurite = request.getfixturevalue("azurite")
        fitting = (key for key in HOSTILE if key.isprintable() and "\\" not in key)
        return CloudBucket(f"az://{azurite.container()}", azurite.options, fitting)
    return MemoryBucket() if request.param == "memory" else FolderBucket(tmp_path)


async def put_all(bucket: Bucket, keys: Iterable[str], data: bytes = b"x") -> None:
    waiting = list(keys)
    for start in range(0, len(waiting), 32):
        await asyncio.gather(*(bucket.put(key, data) for key in waiting[start : start + 32]))


async def keys(store: ObjectStore, after: str = "") -> list[str]:
    return [ref.key async for page in store.list(after=after) for ref, _ in page]


async def test_a_listing_brings_every_object_under_the_key_it_was_written_to(bucket: Bucket) -> None:
    await put_all(bucket, bucket.hostile)
    assert await keys(bucket.store) == sorted(bucket.hostile, key=str.encode)


async def test_what_is_listed_is_what_a_head_sees(bucket: Bucket) -> None:
    for key in bucket.hostile:
        await bucket.put(key, key.encode())
    async for page in bucket.store.list():
        for ref, listed in page:
            seen = await bucket.store.head(ref.key)
            assert ref.bucket == bucket.store.bucket
            assert (listed.etag, listed.size, listed.gone) == (seen.etag, len(ref.key.encode()), False)
            assert listed.etag
            assert await bucket.store.get(ref.key, limit=1_000) == ref.key.encode()


async def test_the_order_is_that_of_the_whole_keys_bytes_not_of_directories(bucket: Bucket) -> None:
    wanted = ["a-b", "a.txt", "a/b-c/x", "a/b.txt", "a/b/c", "a/c", "a0", "b", "ä", "\ufffd", "😀"]
    await put_all(bucket, reversed(wanted))
    assert await keys(bucket.store) == wanted


async def test_a_listing_resumes_behind_any_key_there_or_not(bucket: Bucket) -> None:
    present = ["a-b", "a.txt", "a/b/c", "a/b/d", "a/c", "a0", "b/x"]
    await put_all(bucket, present)
    for after in [*present, "", "a", "a/", "a/b", "a/b/", "a/b/c0", "a/bb", "a.", "aa", "b/x/y", "zzz"]:
        assert await keys(bucket.store, after) == [key for key in present if key.encode() > after.encode()], after


async def test_pages_hold_a_thousand_none_is_empty_and_a_listing_may_be_left_at_any(bucket: Bucket) -> None:
    count = 1_001 if isinstance(bucket, CloudBucket) else 2_001
    await put_all(bucket, (f"{i % 7}/{i:05d}" for i in range(count)))
    assert [len(page) async for page in bucket.store.list()] == [1_000] * (count // 1_000) + [1]
    pages = bucket.store.list()
    assert len(await anext(pages)) == 1_000
    await pages.aclose()  # type: ignore[attr-defined]
    assert len(await keys(bucket.store, "3/00900")) == sum(f"{i % 7}/{i:05d}" > "3/00900" for i in range(count))


async def test_an_empty_bucket_has_no_pages(bucket: Bucket) -> None:
    assert [page async for page in bucket.store.list()] == []


@pytest.mark.parametrize(
    "key", ["never", "", "a", "a/", "/a/b", "a//b", "../up", "a/../a/b", "./a", "nul\0", "x" * 300]
)
async def test_what_is_not_there_is_seen_as_gone(bucket: Bucket, key: str) -> None:
    await bucket.put("a/b", b"x")
    if key in FOLDED_BY_SEAWEEDFS and bucket.store.bucket.startswith("s3://"):
        return
    assert (await bucket.store.head(key)).gone
    with pytest.raises(Rejected):
        await bucket.store.get(key, limit=10)


async def test_an_overwrite_changes_the_version_and_a_delete_is_seen(bucket: Bucket) -> None:
    await bucket.put("k", b"one")
    first = await bucket.store.head("k")
    await bucket.put("k", b"three")
    second = await bucket.store.head("k")
    assert first.version != second.version
    assert second.size == 5
    assert second.observed_at >= first.observed_at
    await bucket.delete("k")
    assert (await bucket.store.head("k")).gone
    assert await keys(bucket.store) == []


async def test_get_takes_what_fits_the_limit_and_rejects_the_rest(bucket: Bucket) -> None:
    await bucket.put("k", b"12345")
    assert await bucket.store.get("k", limit=5) == b"12345"
    with pytest.raises(Rejected, match="4"):
        await bucket.store.get("k", limit=4)


async def test_a_limit_may_cut_instead(bucket: Bucket) -> None:
    for key, data in (("k", b"12345"), ("dir//wire", b"12345"), ("empty", b"")):
        if key in bucket.hostile or "//" not in key:
            await bucket.put(key, data)
            for limit in (3, 5, 9):
                assert await bucket.store.get(key, limit=limit, cut=True) == data[:limit]


async def test_only_the_version_that_is_asked_for_is_read(bucket: Bucket) -> None:
    for key in ("plain", "line\nbreak.txt"):  # the second is read by our own requests
        if not key.isprintable() and not any("\n" in each for each in bucket.hostile):
            continue
        await bucket.put(key, b"one")
        first = await bucket.store.head(key)
        assert await bucket.store.get(key, limit=9, of=first) == b"one"
        await bucket.put(key, b"three")
        second = await bucket.store.head(key)
        assert await bucket.store.get(key, limit=9, of=second) == b"three"
        assert await bucket.store.get(key, limit=9, of=Observation(0.0)) == b"three", "which names no version"
        for cut in (False, True):
            with pytest.raises(Conflict, match="another version"):
                await bucket.store.get(key, limit=9, cut=cut, of=first)
        await bucket.delete(key)
        with pytest.raises(Conflict, match="gone"):
            await bucket.store.get(key, limit=9, of=second)


async def test_what_was_written_is_there_and_what_was_removed_is_not(bucket: Bucket) -> None:
    await bucket.store.write("empty", b"")
    assert ((await bucket.store.head("empty")).size, await bucket.store.get("empty", limit=0)) == (0, b"")
    await bucket.store.remove("empty")
    for key in bucket.hostile:
        etag = await bucket.store.write(key, key.encode())
        seen = await bucket.store.head(key)
        assert (seen.etag, seen.size) == (etag, len(key.encode()))
        assert await bucket.store.get(key, limit=1_000) == key.encode()
    for key in bucket.hostile:
        await bucket.store.remove(key)
        await bucket.store.remove(key)
        assert (await bucket.store.head(key)).gone
    assert await keys(bucket.store) == []


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 1), (2, 5), (9, None), (0, 99), (5, 5), (10, None), (12, 20)]
)
async def test_a_stream_brings_exactly_the_range(bucket: Bucket, start: int, end: int | None) -> None:
    for key in ("plain.bin", "dir/with space.bin"):
        await bucket.put(key, b"0123456789")
        pieces = [piece async for piece in bucket.store.stream(key, start=start, end=end)]
        assert b"".join(pieces) == b"0123456789"[start:end], key


async def test_a_large_object_is_streamed_in_pieces(bucket: Bucket) -> None:
    data = bytes(range(256)) * 20_000
    await bucket.put("large", data)
    pieces = [piece async for piece in bucket.store.stream("large")]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) < len(data) or isinstance(bucket, MemoryBucket)
    with pytest.raises(Rejected):
        [piece async for piece in bucket.store.stream("none such")]


names = st.sampled_from(["a", "a-", "a.b", "a0", "b", "ä"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(names, min_size=1, max_size=3), max_size=12), st.data())
async def test_folder_and_reference_list_alike(
    tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]], data: st.DataObject
) -> None:
    folder, memory = FolderBucket(tmp_path_factory.mktemp("b")), MemoryBucket()
    files: set[str] = set()
    for path in paths:
        key = "/".join(path)
        above = {"/".join(path[:i]) for i in range(1, len(path))}
        if not (above & files or any(f.startswith(f"{key}/") for f in files)):  # a name is a file or a directory
            files.add(key)
            await folder.put(key, b"x")
            await memory.put(key, b"x")
    after = data.draw(st.sampled_from(["", "a", "a/", "a-", *files]))
    assert await keys(folder.store, after) == await keys(memory.store, after)
