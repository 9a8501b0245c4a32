"""`syncd bucket` on servers that push: SeaweedFS with what is printed for it, and Ceph, which is set up from here."""

import subprocess
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import orjson
import pytest

from syncd.domain.errors import ConfigError
from syncd.service.connect import Plan, Wishes, connection, disconnection, target_of
from syncd.service.connect.recipes import connection as recipe
from tests.acceptance.site import until
from tests.ceph import Ceph
from tests.connect.conftest import Configured, Inline
from tests.known_secrets import S3_KEY, known
from tests.seaweed import served

TOKEN = known("s3cr3t-T0ken")
TOKENS = Inline('[{ env = "SYNCD_TEST_TOKEN" }]')


class Inbox:
    """Where a server pushes to: what came, and what it showed."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                inbox.came.append((self.headers.get("Authorization", ""), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def told_of(self, key: str) -> tuple[str, bytes] | None:
        return next((one for one in self.came if key.encode() in one[1]), None)


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """One that listens where `receiver.public_url` says."""
    monkeypatch.setenv("SYNCD_TEST_TOKEN", TOKEN)
    made = Inbox()
    thread = Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_what_is_printed_for_seaweedfs_makes_it_push_with_the_token(
    inbox: Inbox, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(configured("seaweedfs", "s3://snap", tokens=TOKENS), "photos")
    endpoint = f"http://127.0.0.1:{inbox.server.server_port}/events/camera"
    texts = {text.language: text.text for text in recipe(target, "in/").texts}
    home = tmp_path / "weed"
    home.mkdir()
    (home / "notification.toml").write_text(texts["toml"].replace(target.endpoint, endpoint))
    shell = f"{texts['sh']}; env > '{tmp_path}/exported'"
    subprocess.run(["sh", "-c", shell], env={"SYNCD_TOKEN": TOKEN}, check=True)
    for name, _, value in (line.partition("=") for line in (tmp_path / "exported").read_text().splitlines()):
        if name.startswith("WEED_"):
            monkeypatch.setenv(name, value)
    with served(home) as server:
        s3 = client("s3", {"endpoint_url": server.endpoint, "aws_secret_access_key": S3_KEY})
        s3.put_object(Bucket="snap", Key="out/cat.jpg", Body=b"x")
        s3.put_object(Bucket="snap", Key="in/dog.jpg", Body=b"x")
        authorization, body = until("the event", lambda: inbox.told_of("dog.jpg"), timeout=20) or ("", b"")
    assert authorization == f"Bearer {TOKEN}"
    assert orjson.loads(body)["key"] == "/buckets/snap/in/dog.jpg"
    assert inbox.told_of("cat.jpg") is None


def client(service: str, options: dict[str, Any]) -> Any:
    return boto3.client(service, **{"region_name": "us-east-1", "aws_access_key_id": "test", **options})


# ---------------------------------------------------------------- Ceph


async def test_ceph_needs_an_endpoint(configured: Configured, inbox: Inbox) -> None:
    target = target_of(configured("ceph", "s3://photos", tokens=TOKENS), "photos")
    with pytest.raises(ConfigError, match=r"buckets\.photos\.storage_options: the gateway's URL, as aws_endpoint"):
        async with connection(target, Wishes()):
            raise AssertionError


@pytest.mark.system
async def test_ceph_is_connected_pushes_with_the_token_and_is_disconnected(
    ceph: Ceph, inbox: Inbox, configured: Configured
) -> None:
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    s3, sns = client("s3", ceph.client), client("sns", ceph.client)
    s3.create_bucket(Bucket=bucket)
    foreign = sns.create_topic(Name="billing", Attributes={"push-endpoint": "http://127.0.0.1:9", "persistent": "true"})
    entry = {"Id": "billing", "TopicArn": foreign["TopicArn"], "Events": ["s3:ObjectCreated:*"]}
    entry |= {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "invoices/"}]}}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [entry]})
    storage = {
        "aws_endpoint": ceph.client["endpoint_url"], "aws_access_key_id": "test", "aws_secret_access_key": S3_KEY,
    }  # fmt: skip
    config = configured("ceph", f"s3://{bucket}", storage, tokens=TOKENS)
    url = f"http://127.0.0.1:{inbox.server.server_port}"
    config = config.model_copy(update={"receiver": config.receiver.model_copy(update={"public_url": url})})
    target = target_of(config, "photos")

    async def done(way: Any) -> list[str]:
        async with way(target, Wishes()) as plan:
            assert isinstance(plan, Plan)
            await plan.carry_out(lambda _: None)
            assert TOKEN not in str([change.what for change in plan.changes])
            return [f"{change.sign} {change.what.split()[0]}" for change in plan.changes]

    def ids() -> set[str]:
        found = s3.get_bucket_notification_configuration(Bucket=bucket).get("TopicConfigurations", [])
        return {entry["Id"] for entry in found}

    assert await done(connection) == ["+ topic", "+ notification"]
    assert await done(connection) == []
    assert ids() == {"billing", "syncd-photos"}
    s3.put_object(Bucket=bucket, Key="in/a b+é.jpg", Body=b"x")
    _, body = until("the event", lambda: inbox.told_of(bucket), timeout=60) or ("", b"")
    assert orjson.loads(body)["Records"][0]["opaqueData"] == TOKEN
    assert await done(disconnection) == ["- notification", "- topic"]
    assert ids() == {"billing"}
    assert await done(disconnection) == []
