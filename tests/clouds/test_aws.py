"""Who we are at Amazon: every way to credentials, with an emulator behind a proxy that tells whose key signed.

The endpoints that hand out the credentials of a container or an instance are doubles on loopback; STS is ministack's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from syncd.clouds.aws import AwsAccess, AwsClient, Refused
from syncd.domain.errors import ConfigError
from syncd.secrets import SecretRef
from tests.aws_emulators import REGION, Emulator
from tests.sources.aws_proxy import Proxy, failure, proxying

ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
async def proxy(ministack: Emulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """No credentials anywhere yet."""
    for name, value in ministack.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with proxying(ministack.endpoint) as running:
        yield running


async def asked(proxy: Proxy, **access: object) -> str:
    """The key id that a request was signed with."""
    given = AwsAccess.model_validate({"endpoint": proxy.url, "region": REGION, **access})
    client = AwsClient("sqs", given, subject="queue")
    try:
        assert "QueueUrls" in await client.call("list_queues") or proxy.seen == ["ListQueues"]
    finally:
        await client.close()
    return proxy.key_ids[-1]


async def test_the_environment(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert await asked(proxy) == "of-the-environment"


async def test_a_profile(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "credentials"
    place.write_text("[team]\naws_access_key_id = of-the-profile\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(place))
    assert await asked(proxy, profile="team") == "of-the-profile"


async def test_keys_by_reference_win_over_the_environment(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    place = tmp_path / "key"
    place.write_text("referenced\n")
    refs = {"access_key_id": SecretRef(file=place), "secret_access_key": SecretRef(file=place)}
    assert await asked(proxy, **refs) == "referenced"


async def test_a_role_is_assumed(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert (await asked(proxy, role_arn=ROLE, external_id="ours")).startswith("ASIA")


async def test_a_web_identity(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("header.payload.signature")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert (await asked(proxy)).startswith("ASIA")


async def test_the_role_of_a_container(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _handing_out("of-the-container") as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/credentials")
        assert await asked(proxy) == "of-the-container"


async def test_the_role_of_an_instance(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _handing_out("of-the-instance") as url:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        assert await asked(proxy) == "of-the-instance"


async def test_a_role_that_may_not_be_assumed_is_told_by_its_option(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    error = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code></Error></ErrorResponse>"
    async with _answering(lambda _: web.Response(status=403, text=error, content_type="text/xml")) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(ConfigError, match=r"role_arn: these credentials must be allowed sts:AssumeRole"):
            await asked(proxy, role_arn=ROLE)


async def test_a_profile_that_is_not_there_is_told(proxy: Proxy) -> None:
    with pytest.raises(ConfigError, match="profile: credentials that are accepted are needed"):
        await asked(proxy, profile="nobody")


async def test_no_region_is_told(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigError, match="region: name the region"):
        await asked(proxy, region=None)


async def test_a_secret_that_is_not_there_is_told_by_its_field(proxy: Proxy, tmp_path: Path) -> None:
    refs = {name: SecretRef(file=tmp_path / name) for name in ("access_key_id", "secret_access_key")}
    with pytest.raises(ConfigError, match="access_key_id"):
        await asked(proxy, **refs)


async def test_what_is_refused_for_good_carries_amazons_word_for_it(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    proxy.faults = {"ListQueues": lambda _: failure(400, "InvalidParameterValue")}
    with pytest.raises(Refused) as caught:
        await asked(proxy)
    assert caught.value.code == "InvalidParameterValue"
    assert proxy.seen == ["ListQueues"]  # once: nothing is repeated by the SDK


async def test_calls_that_start_together_open_one_client(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = AwsClient("sqs", AwsAccess(endpoint=proxy.url, region=REGION), subject="queue")
    try:
        await asyncio.gather(*(client.call("list_queues") for _ in range(5)))
        assert len(proxy.seen) == 5
    finally:
        await client.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_key_id": {"env": "A"}},
        {"session_token": {"env": "A"}},
        {"external_id": "ours"},
        {"password": "x"},
    ],
)
def test_options_that_contradict_each_other_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AwsAccess.model_validate(wrong)


@asynccontextmanager
async def _handing_out(key_id: str) -> AsyncIterator[str]:
    """A double of the endpoints that a container and an instance get their role's credentials from."""
    until = "2099-01-01T00:00:00Z"
    keys = {"AccessKeyId": key_id, "SecretAccessKey": "secret", "Token": "token", "Expiration": until}

    def answer(request: web.Request) -> web.Response:
        if request.path == "/latest/api/token":
            return web.Response(text="session")
        if request.path.endswith("/security-credentials/"):
            return web.Response(text="reader")
        return web.json_response({"Code": "Success", **keys})

    async with _answering(answer) as url:
        yield url


@asynccontextmanager
async def _answering(answer: object) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        made: web.Response = answer(request)  # type: ignore[operator]
        return made

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
