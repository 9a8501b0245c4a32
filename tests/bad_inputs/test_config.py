"""Row 49: addresses of a configuration that would have the daemon ask where a cloud keeps its credentials."""

import asyncio

import pytest
from pydantic import ValidationError

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.options import LabelStudioOptions
from syncd.config.buckets import BucketConfig
from syncd.domain.errors import Retryable
from syncd.runtime.clock import SystemClock
from syncd.secrets import SecretRef
from tests.known_secrets import HUSH

TOKEN = SecretRef(env="TOKEN")
LOOPBACK = {"127.0.0.1", "::1"}
LINK_LOCAL = ["169.254.169.254", "169.254.170.2:80", "[fe80::1]:8080", "[::ffff:169.254.169.254]", "0xa9fea9fe",
              "2852039166", "0251.0376.0251.0376", "169.254.43518"]  # fmt: skip


@pytest.mark.parametrize("host", LINK_LOCAL)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_link_local_address_of_label_studio_is_refused_however_it_is_written(scheme: str, host: str) -> None:
    with pytest.raises(ValidationError, match="clouds hand out credentials"):
        LabelStudioOptions(url=f"{scheme}://{host}/latest", token=TOKEN)


@pytest.mark.parametrize("host", LINK_LOCAL)
@pytest.mark.parametrize("option", ["aws_endpoint", "endpoint_url"])
def test_a_link_local_endpoint_of_a_bucket_is_refused_however_it_is_written(option: str, host: str) -> None:
    with pytest.raises(ValidationError, match="clouds hand out credentials"):
        BucketConfig(url="s3://photos", storage_options={option: f"http://{host}"})


async def test_a_name_that_leads_to_such_an_address_is_connected_to_and_told_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name of this host, for which the address of this host stands in."""
    monkeypatch.setenv("TOKEN", HUSH)
    monkeypatch.setattr("syncd.annotators.label_studio.client.is_link_local", lambda address: address in LOOPBACK)
    said: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
        client = Client(LabelStudioOptions(url=url, token=TOKEN), SystemClock())
        with pytest.raises(Retryable, match="clouds hand out credentials"):
            await client.post_json("making a project", "api/projects", {}, {})
        await client.close()
        async with asyncio.timeout(5):
            while not said:
                await asyncio.sleep(0.01)
    assert b"".join(said) == b""


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "10.0.0.7", "[::1]:8080", "[fd00::7]", "169.example.com", "7up"])
def test_any_other_address_is_taken(host: str) -> None:
    assert LabelStudioOptions(url=f"http://{host}", token=TOKEN).url == f"http://{host}"
