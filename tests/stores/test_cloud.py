"""A cloud's bucket beyond the contract: credentials that rotate, rights that lack, servers that answer oddly."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from syncd.clouds.aws import AwsAccess
from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.runtime.clock import SystemClock
from syncd.stores.cloud import Cloud
from tests.aws_emulators import Emulator
from tests.clock import FakeClock
from tests.known_secrets import S3_KEY
from tests.seaweed import Seaweed
from tests.stores.buckets import make_bucket

WRONG = "wrongwrongwrong"


@pytest.fixture
async def bucket(seaweed: Seaweed) -> str:
    """A new bucket of SeaweedFS, which checks every signature."""
    name = f"cloud-{uuid.uuid4().hex[:12]}"
    await make_bucket(name, seaweed.options)
    return f"s3://{name}"


@asynccontextmanager
async def opened(url: str, options: Callable[[], dict[str, str]], **more: object) -> AsyncIterator[Cloud]:
    store = Cloud(url, options, FakeClock(), field="buckets.photos", **more)  # type: ignore[arg-type]
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def served(answer: Callable[[web.Request], web.StreamResponse]) -> AsyncIterator[dict[str, str]]:
    """A double of an S3 server that gives one answer; the options that lead to it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield {
            "aws_endpoint": f"http://127.0.0.1:{port}",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "aws_region": "us-east-1",
            "allow_http": "true",
        }
    finally:
        await runner.cleanup()


def page(*keys: str) -> web.Response:
    rows = "".join(f"<Contents><Key>{key}</Key><ETag>e</ETag><Size>1</Size></Contents>" for key in keys)
    return web.Response(text=f"<ListBucketResult>{rows}</ListBucketResult>", content_type="application/xml")


# ---------------------------------------------------------------- credentials


async def test_a_rotated_secret_is_taken_up_when_the_old_one_is_refused(seaweed: Seaweed, bucket: str) -> None:
    current = dict(seaweed.options)
    async with opened(bucket, lambda: dict(current)) as store:
        await store.write("a", b"1")
        current["aws_secret_access_key"] = WRONG
        assert await store.get("a", limit=1) == b"1"  # read a moment ago
    asked = 0

    def rotating() -> dict[str, str]:
        nonlocal asked
        asked += 1
        return {**seaweed.options, "aws_secret_access_key": WRONG} if asked == 1 else seaweed.options

    for ask in (_head, _get, _list, _hostile):
        asked = 0
        async with opened(bucket, rotating) as store:
            await ask(store)
            assert asked == 2, ask


async def _head(store: Cloud) -> None:
    assert not (await store.head("a")).gone


async def _get(store: Cloud) -> None:
    assert [piece async for piece in store.stream("a")] == [b"1"]


async def _list(store: Cloud) -> None:
    assert [ref.key async for found in store.list() for ref, _ in found] == ["a"]


async def _hostile(store: Cloud) -> None:
    assert (await store.head("tab\t")).gone


async def test_a_changed_secret_is_read_within_a_minute_without_being_refused(seaweed: Seaweed, bucket: str) -> None:
    reads = 0

    def options() -> dict[str, str]:
        nonlocal reads
        reads += 1
        return seaweed.options

    clock = FakeClock()
    store = Cloud(bucket, options, clock)
    await asyncio.gather(*(store.head("a") for _ in range(20)))
    assert reads == 1
    clock.advance(61)
    await asyncio.gather(*(store.head("a") for _ in range(20)))
    assert reads == 2
    await store.close()


async def test_wrong_credentials_say_which_right_or_secret_lacks_and_show_none(seaweed: Seaweed, bucket: str) -> None:
    async with opened(bucket, lambda: {**seaweed.options, "aws_secret_access_key": WRONG}) as store:
        with pytest.raises(Retryable, match=r"grant s3:ListBucket.*credentials") as listing:
            await _list(store)
        with pytest.raises(Retryable, match="grant s3:GetObject and s3:ListBucket"):
            await store.head("a")
        with pytest.raises(Rejected, match="grant s3:PutObject"):
            await store.write("a", b"1")
        with pytest.raises(Rejected, match="grant s3:DeleteObject"):
            await store.remove("a")
    assert "SignatureDoesNotMatch" in str(listing.value)
    assert WRONG not in str(listing.value)


async def test_without_keys_the_profile_is_used(
    seaweed: Seaweed, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(f"[labels]\naws_access_key_id = test\naws_secret_access_key = {S3_KEY}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    keyless = {name: value for name, value in seaweed.options.items() if "key" not in name}
    async with opened(bucket, lambda: keyless, aws=AwsAccess(profile="labels")) as store:
        await store.write("a", b"1")
        await _get(store)
        await _list(store)
    async with opened(bucket, lambda: keyless) as store:
        with pytest.raises(ConfigError, match=r"buckets\.photos\.storage_options: keys in storage_options"):
            await store.head("tab\t")


async def test_a_role_is_assumed_with_the_credentials_found(moto: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"role-{uuid.uuid4().hex[:8]}"
    for variable, value in moto.variables.items():
        monkeypatch.setenv(variable, value)
    given = {"aws_endpoint": moto.endpoint, "aws_region": "us-east-1", "allow_http": "true"}
    await make_bucket(name, {**given, "aws_access_key_id": "test", "aws_secret_access_key": "test"})
    access = AwsAccess(role_arn="arn:aws:iam::123456789012:role/syncd")
    async with opened(f"s3://{name}", lambda: given, aws=access) as store:
        await store.write("a", b"1")
        await _list(store)
        signed = await store.sign("a", expires=60)
    assert signed
    assert "X-Amz-Security-Token=" in signed  # only a role's credentials have one


# ---------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("url", "options", "field"),
    [
        ("s3://b", {"aws_no_such": "1"}, "storage_options"),
        ("s3://b", {"aws_endpoint": "http://127.0.0.1:1"}, "storage_options"),
        ("az://c", {}, "storage_options.azure_storage_account_name"),
        ("az://c", {"azure_storage_account_name": "a", "azure_storage_account_key": "?"}, "storage_options"),
    ],
)
async def test_options_that_cannot_work_are_named_by_their_place(url: str, options: dict[str, str], field: str) -> None:
    async with opened(url, lambda: options) as store:
        with pytest.raises(ConfigError) as caught:
            await _list(store)
    assert caught.value.problems[0].field.startswith(f"buckets.photos.{field}")


async def test_another_region_is_named() -> None:
    answer = partial(web.Response, status=301, headers={"x-amz-bucket-region": "eu-central-1"})
    async with served(lambda _: answer()) as options, opened("s3://photos", lambda: options) as store:
        with pytest.raises(ConfigError, match=r"buckets\.photos\.storage_options\.aws_region: .*eu-central-1"):
            await _list(store)


# ---------------------------------------------------------------- servers


async def test_a_bucket_that_is_gone_is_no_bucket_whose_objects_are_gone(seaweed: Seaweed) -> None:
    async with opened("s3://no-such-bucket", lambda: seaweed.options) as store:
        for ask in (_list, _head, _hostile):
            with pytest.raises(Retryable, match="no bucket"):
                await ask(store)
        with pytest.raises(Retryable, match="no bucket"):
            await store.get("a", limit=1)


async def test_a_listing_out_of_order_is_refused_once_and_sorted_from_then_on() -> None:
    async with served(lambda _: page("a/b", "a.txt", "b")) as options, opened("s3://b", lambda: options) as store:
        with pytest.raises(Retryable, match=r"lists 'a.txt' behind 'a/b'"):
            await _list(store)
        assert [ref.key async for found in store.list() for ref, _ in found] == ["a.txt", "a/b", "b"]
        assert [ref.key async for found in store.list(after="a.txt") for ref, _ in found] == ["a/b", "b"]


async def test_a_listing_that_breaks_off_is_never_a_whole_one() -> None:
    def answer(request: web.Request) -> web.Response:
        if "continuation-token" in request.query:
            return web.Response(status=500)
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>2</NextContinuationToken>"
        text = (page("a").text or "").replace("</ListBucketResult>", f"{more}</ListBucketResult>")
        return web.Response(text=text)

    async with served(answer) as options, opened("s3://b", lambda: options) as store:
        pages = store.list()
        assert [ref.key for ref, _ in await anext(pages)] == ["a"]
        with pytest.raises(Retryable, match=r"busy or down \(HTTP 500"):
            await anext(pages)


async def test_trouble_of_a_moment_is_waited_out() -> None:
    answers = iter([web.Response(status=503), web.Response(status=429), page("a")])
    async with served(lambda _: next(answers)) as options, opened("s3://b", lambda: options) as store:
        await _list(store)


async def test_an_answer_of_a_server_never_reaches_a_message() -> None:
    answer = partial(
        web.Response, status=403, text="<Error><Code>Access\x1b[31mDenied</Code><Message>hunter2</Message></Error>"
    )
    async with served(lambda _: answer()) as options, opened("s3://b", lambda: options) as store:
        for ask in (_list, _head, _get):
            with pytest.raises(Retryable) as caught:
                await ask(store)
            assert "hunter2" not in str(caught.value)
            assert "\x1b" not in str(caught.value)


async def test_a_redirect_is_not_followed() -> None:
    answer = partial(web.Response, status=307, headers={"Location": "http://169.254.169.254/latest"})
    async with served(lambda _: answer()) as options, opened("s3://b", lambda: options) as store:
        with pytest.raises(ConfigError):
            await _list(store)
        with pytest.raises(ConfigError):
            await store.head("tab\t")


async def test_an_archived_object_says_so() -> None:
    answer = partial(web.Response, status=403, text="<Error><Code>InvalidObjectState</Code></Error>")
    async with served(lambda _: answer()) as options, opened("s3://b", lambda: options) as store:
        for key in ("a", "tab\t"):
            with pytest.raises(Rejected, match="archived"):
                await store.get(key, limit=1)


async def test_a_key_that_cannot_be_is_not_asked_for() -> None:
    async with opened("s3://b", lambda: {"aws_endpoint": "http://127.0.0.1:1", "allow_http": "true"}) as store:
        for key in ("", "nul\0", "x" * 1025):
            assert (await store.head(key)).gone


async def test_versions_are_told_where_a_bucket_has_them(seaweed: Seaweed) -> None:
    name = f"versions-{uuid.uuid4().hex[:8]}"
    await make_bucket(name, seaweed.options, versioned=True)
    store = Cloud(f"s3://{name}", lambda: seaweed.options, SystemClock())
    for key in ("plain", "tab\t"):
        await store.write(key, b"1")
        first = await store.head(key)
        await store.write(key, b"2")
        second = await store.head(key)
        assert first.version_id
        assert second.version_id not in {None, first.version_id}
    await store.close()
