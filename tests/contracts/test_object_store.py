"""What every object store keeps to (`ports.ObjectStore`), over the reference and the folder."""

from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.domain.errors import Rejected
from syncd.ports import ObjectStore
from syncd.stores.folder import FolderStore
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock

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


class Bucket(Protocol):
    """A store under test, and how the world writes to it."""

    store: ObjectStore

    def put(self, key: str, data: bytes) -> None: ...

    def delete(self, key: str) -> None: ...


class MemoryBucket:
    def __init__(self) -> None:
        self._memory = MemoryStore("memory://photos", FakeClock())
        self.store: ObjectStore = self._memory

    def put(self, key: str, data: bytes) -> None:
        self._memory.put(key, data)

    def delete(self, key: str) -> None:
        self._memory.delete(key)


class FolderBucket:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store: ObjectStore = FolderStore(root)

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)


@pytest.fixture(params=["memory", "folder"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    return MemoryBucket() if request.param == "memory" else FolderBucket(tmp_path)


async def keys(store: ObjectStore, after: str = "") -> list[str]:
    return [ref.key async for page in store.list(after=after) for ref, _ in page]


async def test_a_listing_brings_every_object_under_the_key_it_was_written_to(bucket: Bucket) -> None:
    for key in HOSTILE:
        bucket.put(key, b"x")
    assert await keys(bucket.store) == sorted(HOSTILE, key=str.encode)


async def test_what_is_listed_is_what_a_head_sees(bucket: Bucket) -> None:
    for key in HOSTILE:
        bucket.put(key, key.encode())
    async for page in bucket.store.list():
        for ref, listed in page:
            seen = await bucket.store.head(ref.key)
            assert ref.bucket == bucket.store.bucket
            assert (listed.etag, listed.size, listed.gone) == (seen.etag, len(ref.key.encode()), False)
            assert listed.etag
            assert await bucket.store.get(ref.key, limit=1_000) == ref.key.encode()


async def test_the_order_is_that_of_the_whole_keys_bytes_not_of_directories(bucket: Bucket) -> None:
    wanted = ["a-b", "a.txt", "a/b-c/x", "a/b.txt", "a/b/c", "a/c", "a0", "b", "ä", "\uffff", "😀"]
    for key in reversed(wanted):
        bucket.put(key, b"x")
    assert await keys(bucket.store) == wanted


async def test_a_listing_resumes_behind_any_key_there_or_not(bucket: Bucket) -> None:
    present = ["a-b", "a.txt", "a/b/c", "a/b/d", "a/c", "a0", "b/x"]
    for key in present:
        bucket.put(key, b"x")
    for after in [*present, "", "a", "a/", "a/b", "a/b/", "a/b/c0", "a/bb", "a.", "aa", "b/x/y", "zzz"]:
        assert await keys(bucket.store, after) == [key for key in present if key.encode() > after.encode()], after


async def test_pages_hold_a_thousand_and_none_is_empty(bucket: Bucket) -> None:
    for i in range(2_001):
        bucket.put(f"{i % 7}/{i:05d}", b"")
    assert [len(page) async for page in bucket.store.list()] == [1_000, 1_000, 1]


async def test_an_empty_bucket_has_no_pages(bucket: Bucket) -> None:
    assert [page async for page in bucket.store.list()] == []


@pytest.mark.parametrize(
    "key", ["never", "", "a", "a/", "/a/b", "a//b", "../up", "a/../a/b", "./a", "nul\0", "x" * 300]
)
async def test_what_is_not_there_is_seen_as_gone(bucket: Bucket, key: str) -> None:
    bucket.put("a/b", b"x")
    assert (await bucket.store.head(key)).gone
    with pytest.raises(Rejected):
        await bucket.store.get(key, limit=10)


async def test_an_overwrite_changes_the_version_and_a_delete_is_seen(bucket: Bucket) -> None:
    bucket.put("k", b"one")
    first = await bucket.store.head("k")
    bucket.put("k", b"three")
    second = await bucket.store.head("k")
    assert first.version != second.version
    assert second.size == 5
    assert second.observed_at >= first.observed_at
    bucket.delete("k")
    assert (await bucket.store.head("k")).gone
    assert await keys(bucket.store) == []


async def test_get_takes_what_fits_the_limit_and_rejects_the_rest(bucket: Bucket) -> None:
    bucket.put("k", b"12345")
    assert await bucket.store.get("k", limit=5) == b"12345"
    with pytest.raises(Rejected, match="4"):
        await bucket.store.get("k", limit=4)


async def test_a_listing_may_be_left_at_any_page(bucket: Bucket) -> None:
    for i in range(1_500):
        bucket.put(f"{i:05d}", b"")
    pages = bucket.store.list()
    assert len(await anext(pages)) == 1_000
    await pages.aclose()  # type: ignore[attr-defined]
    assert len(await keys(bucket.store)) == 1_500


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
            folder.put(key, b"x")
            memory.put(key, b"x")
    after = data.draw(st.sampled_from(["", "a", "a/", "a-", *files]))
    assert await keys(folder.store, after) == await keys(memory.store, after)
