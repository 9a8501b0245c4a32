"""Keys that paths cannot carry, byte for byte: written by another client, then listed, looked at, read and signed.

moto's S3 (an emulator) holds what Amazon's does; SeaweedFS and Azurite fold or refuse some of these keys, so the
contract suite asks them for the others only.
"""

import uuid

import aiohttp
import pytest
from yarl import URL

from syncd.runtime.clock import SystemClock
from syncd.stores.cloud import Cloud
from syncd.stores.transfer import is_plain
from tests.aws_emulators import Emulator
from tests.azurite import Azurite
from tests.domain.notifications.hostile import HOSTILE_KEYS
from tests.seaweed import Seaweed
from tests.stores.buckets import make_bucket, s3_client

PATHS = ["a//b", "/abs", "dir/", "../../etc/passwd", "a/../b", "./a", "a/.", "..", ".", "//", "a/b//", "a/./b"]
CONTROLS = ["tab\tx", "del\x7f", "\x01", "\x1b[31mred"]
UNICODE = ["~t*ilde[]{}|^`<>&'\"", "e\u0301", "\u2028x", "😀/ü/日本.png", "a b+c%2B%.jpg", "a%252Fb", "x" * 1024]
KEYS = sorted({*PATHS, *CONTROLS, *UNICODE, *HOSTILE_KEYS}, key=str.encode)
LINE_BREAKS = {key for key in KEYS if {"\n", "\r"} & set(key)}
"""moto's web server routes none of these."""


def options(server: Emulator) -> dict[str, str]:
    return {
        "aws_endpoint": server.endpoint,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "aws_region": "us-east-1",
        "allow_http": "true",
    }


async def fetched(url: str | None) -> bytes:
    assert url
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def test_every_key_is_listed_looked_at_and_read_byte_for_byte(moto: Emulator) -> None:
    name, given = f"hostile-{uuid.uuid4().hex[:8]}", options(moto)
    await make_bucket(name, given)
    keys = [key for key in KEYS if key not in LINE_BREAKS]
    async with s3_client(given) as other:
        for key in keys:
            await other.put_object(Bucket=name, Key=key, Body=key.encode())
    store = Cloud(f"s3://{name}", lambda: given, SystemClock())
    listed = {ref.key: seen async for page in store.list() for ref, seen in page}
    assert list(listed) == keys
    for key in keys:
        seen = await store.head(key)
        assert (seen.etag, seen.size) == (listed[key].etag, len(key.encode())), key
        assert await store.get(key, limit=1_100) == key.encode()
        assert b"".join([piece async for piece in store.stream(key, start=1)]) == key.encode()[1:]
        assert await fetched(await store.sign(key, expires=60)) == key.encode()
        await store.remove(key)
    assert [page async for page in store.list()] == []
    await store.close()


async def test_a_listing_resumes_behind_any_of_them(moto: Emulator) -> None:
    name, given = f"resumed-{uuid.uuid4().hex[:8]}", options(moto)
    await make_bucket(name, given)
    store = Cloud(f"s3://{name}", lambda: given, SystemClock())
    keys = sorted({*PATHS, *CONTROLS}, key=str.encode)
    for key in keys:
        await store.write(key, b"x")
    for number, key in enumerate(keys):
        behind = [ref.key async for page in store.list(after=key) for ref, _ in page]
        assert behind == keys[number + 1 :], key
    await store.close()


async def test_azure_carries_paths_too(azurite: Azurite) -> None:
    store = Cloud(f"az://{azurite.container()}", lambda: azurite.options, SystemClock())
    keys = sorted((key for key in {*PATHS, *UNICODE} if "\u2028" not in key), key=str.encode)
    for key in keys:
        await store.write(key, key.encode())
    assert [ref.key async for page in store.list() for ref, _ in page] == keys
    for key in keys:
        assert await store.get(key, limit=1_100) == key.encode()
        assert await fetched(await store.sign(key, expires=60)) == key.encode(), key
    await store.close()


async def test_seaweedfs_verifies_what_is_signed_here(seaweed: Seaweed) -> None:
    name = f"signed-{uuid.uuid4().hex[:8]}"
    await make_bucket(name, seaweed.options)
    store = Cloud(f"s3://{name}", lambda: seaweed.options, SystemClock())
    for key in ("tab\tx", "line\nbreak\r", "a b+c%2B%.jpg", "😀/ü/日本.png"):
        await store.write(key, key.encode())
        assert await fetched(await store.sign(key, expires=60)) == key.encode()
    url = URL(await store.sign("tab\tx", expires=60) or "", encoded=True)
    async with aiohttp.ClientSession() as session, session.get(URL(f"{url}0", encoded=True)) as answer:
        assert answer.status == 403
    await store.close()


@pytest.mark.parametrize("key", [*PATHS, *CONTROLS, ""])
def test_what_obstore_would_change_or_refuse_never_goes_to_it(key: str) -> None:
    assert not is_plain(key)


@pytest.mark.parametrize("key", [*UNICODE, "a/b.c", "...", "a..b", ".hidden", "trailing."])
def test_what_obstore_keeps_goes_to_it(key: str) -> None:
    assert is_plain(key)
