"""Without any key: the identity of the host opens Pub/Sub and storage queues.

Google's metadata server and token exchange, and Azure's identity endpoint, are doubles of our own; the queue is
Azurite's over TLS, which looks at the token's issuer, audience and times, though not at its signature.
"""

import asyncio
import datetime
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp.connector
import jwt
import pytest
from aiohttp import web
from azure.storage.queue.aio import QueueClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from syncd.clouds.gcp import GoogleTokens
from syncd.domain.errors import ConfigError
from syncd.sources.storage_queue import StorageQueueOptions, StorageQueueSource
from tests.azurite import Azurite, serving
from tests.event_grid import blob_event
from tests.pubsub_double import signing_key
from tests.sources.hurried import HurriedClock
from tests.sources.taking import Taker, buckets, running
from tests.sources.waiting import until

SCOPE = "https://www.googleapis.com/auth/pubsub"


@pytest.fixture(autouse=True)
def _a_bare_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody is logged in here, and no cloud is found by accident."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "GOOGLE_", "CLOUDSDK_", "IDENTITY_", "MSI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))


@asynccontextmanager
async def answering(*routes: web.RouteDef) -> AsyncIterator[str]:
    """A server of these routes; its host and port."""
    app = web.Application()
    app.router.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# ---------------------------------------------------------------- Google


async def test_googles_metadata_server_gives_the_token_and_it_is_used_until_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[str] = []

    async def metadata(request: web.Request) -> web.Response:
        assert request.headers["Metadata-Flavor"] == "Google"
        headers = {"Metadata-Flavor": "Google"}
        if request.path.endswith("/token"):
            given.append(uuid.uuid4().hex)
            answer = {"access_token": given[-1], "expires_in": 3600, "token_type": "Bearer"}
            return web.json_response(answer, headers=headers)
        if request.path.endswith("/default/"):
            return web.json_response({"email": "syncd@p.iam", "aliases": [], "scopes": [SCOPE]}, headers=headers)
        return web.Response(text="project", headers=headers)

    async with answering(web.get("/{path:.*}", metadata)) as host:
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"):
            monkeypatch.setenv(name, host)
        tokens = GoogleTokens(SCOPE, credentials=None, field="sources.photos.credentials")
        assert await asyncio.gather(*(tokens.token() for _ in range(5))) == given * 5
        tokens.forget()
        assert await tokens.token() == given[1]
    assert len(given) == 2


async def test_a_workload_identity_federation_is_exchanged_for_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "subject").write_text("the token of the cluster")
    shown: list[str] = []

    async def exchange(request: web.Request) -> web.Response:
        shown.append(str((await request.post())["subject_token"]))
        answer = {"access_token": "of-google", "expires_in": 3600, "token_type": "Bearer"}
        return web.json_response({**answer, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    async with answering(web.post("/token", exchange)) as host:
        federation = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"http://{host}/token",
            "credential_source": {"file": str(tmp_path / "subject")},
        }
        (tmp_path / "federation.json").write_text(json.dumps(federation))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "federation.json"))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "project")  # else it is asked of Google
        tokens = GoogleTokens(SCOPE, credentials=None, field="sources.photos.credentials")
        assert await tokens.token() == "of-google"
    assert shown == ["the token of the cluster"]


async def test_a_host_that_google_does_not_know_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(ConfigError) as caught:
        await GoogleTokens(SCOPE, credentials=None, field="sources.photos.credentials").token()
    (problem,) = caught.value.problems
    assert problem.field == "sources.photos.credentials"
    assert "workload identity" in problem.allowed


# ---------------------------------------------------------------- Azure


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself, and its key."""
    key, folder = signing_key("tls"), tmp_path_factory.mktemp("tls")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def azurite_over_tls(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One that takes tokens of identities."""
    cert, key = (str(path) for path in certificate)
    aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(cert)  # there is no setting for it, as it should be
    with serving(
        tmp_path_factory.mktemp("azurite"), "--oauth", "basic", "--cert", cert, "--key", key, scheme="https"
    ) as server:
        yield server


def app_service_answer(audience: str) -> dict[str, str]:
    """What the identity endpoint of App Service answers; the token is as Azurite takes it."""
    now = int(time.time())
    claims = {"iss": "https://sts.windows.net/tenant/", "aud": audience, "iat": now, "nbf": now - 60, "exp": now + 3600}
    token = jwt.encode(claims, signing_key("entra"), algorithm="RS256")
    return {"access_token": token, "expires_on": str(now + 3600), "resource": audience, "token_type": "Bearer"}


async def made_queue(azurite: Azurite) -> str:
    """A new queue; its name. Returns once Azurite is up."""
    name = f"q{uuid.uuid4().hex}"
    async with asyncio.timeout(60):
        while True:
            async with QueueClient.from_connection_string(azurite.connection_string, name, retry_total=0) as client:
                try:
                    await client.create_queue()
                    await client.send_message(json.dumps(blob_event("a.jpg")))
                except Exception:  # noqa: BLE001 - it is not up yet
                    await asyncio.sleep(0.1)
                else:
                    return name


def source(azurite: Azurite, queue: str) -> StorageQueueSource:
    options = StorageQueueOptions(queue=queue, buckets=("photos",), account_url=azurite.queue_endpoint, poll_every=0.1)
    return StorageQueueSource("photos", options, stores=buckets(photos="az://photos"), clock=HurriedClock(5.0))


async def test_a_managed_identity_opens_the_queue(azurite_over_tls: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, asked = await made_queue(azurite_over_tls), set()

    async def identity(request: web.Request) -> web.Response:
        assert request.headers["X-IDENTITY-HEADER"] == "of-this-host"
        asked.add(request.query["resource"])
        return web.json_response(app_service_answer(request.query["resource"]))

    taker = Taker()
    async with answering(web.get("/identity", identity)) as host:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{host}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", "of-this-host")
        await source(azurite_over_tls, queue).check()
        async with running(source(azurite_over_tls, queue), taker):
            await until("it came", lambda: taker.keys == ["a.jpg"])
    assert asked == {"https://storage.azure.com"}


async def test_an_identity_for_something_else_is_refused(
    azurite_over_tls: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = await made_queue(azurite_over_tls)

    async def identity(_: web.Request) -> web.Response:
        return web.json_response(app_service_answer("https://vault.azure.net"))

    async with answering(web.get("/identity", identity)) as host:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{host}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", "of-this-host")
        with pytest.raises(ConfigError, match="Storage Queue Data Message Processor"):
            await source(azurite_over_tls, queue).check()
