"""What a folder may hold that is no object, and what it does when it cannot be read."""

import asyncio
import os
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.stores import Stores
from syncd.stores.folder import FolderStore
from tests.clock import FakeClock


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that a user without rights can reach (pytest's own cannot be)."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


@contextmanager
def without_rights() -> Iterator[None]:
    """Permissions bind everybody but root."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


async def keys(store: FolderStore) -> list[str]:
    return [ref.key async for page in store.list() for ref, _ in page]


async def refused(store: FolderStore, key: str) -> bool:
    """Not listed, gone for a head, rejected for a get."""
    with pytest.raises(Rejected):
        await store.get(key, limit=100)
    return (await store.head(key)).gone and key not in await keys(store)


async def test_a_symbolic_link_to_a_file_outside_is_refused_and_counted(root: Path) -> None:
    (root / "passwd").symlink_to("/etc/passwd")
    store = FolderStore(root)
    assert await refused(store, "passwd")
    assert store.skipped["symbolic link"] == 3


async def test_a_link_to_a_file_inside_is_refused_too(root: Path) -> None:
    (root / "real").write_bytes(b"x")
    (root / "link").symlink_to(root / "real")
    store = FolderStore(root)
    assert await refused(store, "link")
    assert await keys(store) == ["real"]


async def test_no_key_leads_through_a_linked_directory(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (root / "out").symlink_to(tmp_path)
    assert await refused(FolderStore(root), "out/secret")


async def test_a_loop_of_links_ends(root: Path) -> None:
    (root / "deep").mkdir()
    (root / "deep" / "up").symlink_to(root)
    (root / "self").symlink_to("self")
    store = FolderStore(root)
    assert await keys(store) == []
    assert await refused(store, "deep/up/deep/up")
    assert await refused(store, "self")


async def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (root / "a").write_bytes(b"x")
    (tmp_path / "photos").symlink_to(root)
    assert await keys(FolderStore(tmp_path / "photos")) == ["a"]


@pytest.mark.timeout(20)
async def test_a_fifo_is_refused_and_nobody_hangs(root: Path) -> None:
    os.mkfifo(root / "pipe")
    store = FolderStore(root)
    assert await refused(store, "pipe")
    assert store.skipped["FIFO"] > 0


async def test_a_socket_is_refused(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        store = FolderStore(root)
        assert await refused(store, "socket")
    assert store.skipped["socket"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
async def test_a_device_is_refused(root: Path) -> None:
    try:
        os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no right to make devices here")
    store = FolderStore(root)
    assert await refused(store, "zero")
    assert store.skipped["device"] > 0


async def test_a_hard_link_is_an_object_as_any_other(root: Path) -> None:
    (root / "a").write_bytes(b"x")
    (root / "b").hardlink_to(root / "a")
    assert await keys(FolderStore(root)) == ["a", "b"]


async def test_a_name_that_is_not_utf8_is_skipped_counted_and_told_once(root: Path) -> None:
    for name in (b"bad\xff", b"worse\xfe"):
        (root / os.fsdecode(name)).write_bytes(b"x")
    (root / "good").write_bytes(b"x")
    store = FolderStore(root)
    with capture_logs() as logs:
        assert await keys(store) == ["good"]
    assert store.skipped["name that is not UTF-8"] == 2
    (told,) = [entry for entry in logs if entry["event"] == "object.skipped"]
    told["key"].encode()
    assert (await store.head(os.fsdecode(b"bad\xff"))).gone


async def test_hidden_names_are_listed_only_when_asked_for(root: Path) -> None:
    for name in (".git/config", "a/.b/c", ".d", "e"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    assert await keys(FolderStore(root)) == ["e"]
    assert await keys(FolderStore(root, hidden=True)) == [".d", ".git/config", "a/.b/c", "e"]


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("key", [".git/config", "a/.b/c", ".d", "a/.e"])
async def test_a_hidden_file_is_there_for_who_asks_for_it(root: Path, key: str, hidden: bool) -> None:
    (root / key).parent.mkdir(parents=True, exist_ok=True)
    (root / key).write_bytes(b"x")
    store = FolderStore(root, hidden=hidden)
    seen = await store.head(key)
    assert (seen.gone, seen.size) == (False, 1)
    assert await store.get(key, limit=1) == b"x"
    (root / key).unlink()
    assert await refused(store, key)


async def test_a_listing_brings_all_that_it_can_read_and_then_says_what_it_cannot(root: Path) -> None:
    for i in range(1_005):
        (root / f"a{i:04d}").touch()
    (root / "b").mkdir(mode=0o000)
    (root / "c").touch()
    pages = FolderStore(root).list()
    with without_rights():
        assert len(await anext(pages)) == 1_000
        assert [ref.key for ref, _ in await anext(pages)] == [*(f"a{i:04d}" for i in range(1_000, 1_005)), "c"]
        with pytest.raises(Retryable, match="'b/' cannot be read"):
            await anext(pages)


async def test_a_directory_nobody_may_read_fails_the_listing_and_says_which(root: Path) -> None:
    (root / "a").write_bytes(b"x")
    (root / "locked").mkdir()
    (root / "locked" / "b").write_bytes(b"x")
    (root / "locked").chmod(0o000)
    store = FolderStore(root)
    with without_rights():
        with pytest.raises(Retryable, match="'locked/' cannot be read: Permission denied"):
            await keys(store)
        with pytest.raises(Retryable, match="Permission denied"):
            await store.head("locked/b")


async def test_a_file_nobody_may_read_can_be_tried_again(root: Path) -> None:
    (root / "a").write_bytes(b"x")
    (root / "a").chmod(0o000)
    store = FolderStore(root)
    with without_rights():
        assert not (await store.head("a")).gone
        with pytest.raises(Retryable, match="permission"):
            await store.get("a", limit=10)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("swap", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, Path.mkdir])
async def test_a_file_swapped_between_the_look_and_the_open_is_not_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, swap: Callable[[Path], None]
) -> None:
    (root / "a").write_bytes(b"x")
    look = os.stat

    def look_then_swap(path: str, **where: Any) -> os.stat_result:
        found = look(path, **where)
        if path == "a" and stat.S_ISREG(found.st_mode):
            (root / "a").unlink()
            swap(root / "a")
        return found

    monkeypatch.setattr(os, "stat", look_then_swap)
    with pytest.raises(Rejected, match="gone"):
        await FolderStore(root).get("a", limit=10_000)


async def test_a_disk_that_was_unmounted_does_not_look_empty(root: Path) -> None:
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "none", root, stderr=subprocess.DEVNULL)
    if await mount.wait():
        pytest.skip("no right to mount here")
    store = FolderStore(root)
    try:
        (root / "a").write_bytes(b"x")
        assert await keys(store) == ["a"]
    finally:
        await (await asyncio.create_subprocess_exec("umount", root)).wait()
    with pytest.raises(Retryable, match="mount it again"):
        await keys(store)
    with pytest.raises(Retryable, match="mount it again"):
        await store.head("a")


async def test_a_missing_root_is_no_empty_bucket(root: Path) -> None:
    store = FolderStore(root / "unmounted")
    with pytest.raises(Retryable, match="mount the disk"):
        await keys(store)
    with pytest.raises(Retryable, match="mount the disk"):
        await store.head("a")
    (root / "unmounted").write_bytes(b"a file")
    with pytest.raises(Retryable, match="cannot be read"):
        await keys(store)


async def test_a_root_that_is_replaced_while_it_is_listed_does_not_look_complete(root: Path) -> None:
    photos = root / "photos"
    photos.mkdir()
    for i in range(1_500):
        (photos / f"{i:05d}").touch()
    pages = FolderStore(photos).list()
    await anext(pages)
    photos.rename(root / "elsewhere")
    photos.mkdir()
    with pytest.raises(Retryable, match="went away"):
        _ = [page async for page in pages]


async def test_the_file_systems_own_lost_and_found_does_not_fail_the_listing(root: Path) -> None:
    (root / "lost+found").mkdir(mode=0o000)
    (root / "a").mkdir()
    (root / "a" / "lost+found").write_bytes(b"x")
    assert await keys(FolderStore(root)) == ["a/lost+found"]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_listing_leaves_no_descriptor_open(root: Path) -> None:
    for i in range(1_200):
        path = root / f"{i % 3}" / "x" / f"{i}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    store = FolderStore(root)
    before = descriptors()
    pages = store.list()
    await anext(pages)
    await pages.aclose()  # type: ignore[attr-defined]
    await keys(store)
    await store.head("0/x/nothing")
    await store.head("0/nothing/at/all")
    assert descriptors() == before


async def test_a_file_written_just_now_is_seen_as_not_settled(root: Path) -> None:
    for name, age in (("fresh", 0), ("old", 100), ("from the future", -1_000)):
        (root / name).write_bytes(b"x")
        os.utime(root / name, (time.time() - age, time.time() - age))
    store = FolderStore(root, settle=60)
    listed = {ref.key: seen.settled async for page in store.list() for ref, seen in page}
    assert listed == {"fresh": False, "old": True, "from the future": True}
    assert not (await store.head("fresh")).settled
    assert (await FolderStore(root).head("fresh")).settled


async def test_a_store_is_opened_by_its_url(root: Path) -> None:
    (root / "my photos").mkdir()
    (root / "my photos" / "a").write_bytes(b"x")
    clock = FakeClock()
    store = Stores({}, clock).folder(f"file://{root}/my%20photos")
    assert [(ref.key, seen.observed_at) async for page in store.list() for ref, seen in page] == [("a", clock.now())]
    assert store.bucket == f"file://{root}/my%20photos"


@pytest.mark.parametrize("url", ["s3://photos", "photos", "file://host/share", ""])
def test_a_url_that_is_not_supported_is_refused_with_what_is(url: str) -> None:
    with pytest.raises(ConfigError, match="file:///"):
        Stores({}, FakeClock()).folder(url)
