"""A real SeaweedFS whose filer posts its events, for tests: one server for the whole run.

Ask for the fixture `weed_webhook`. The filer is told where to post when it starts, so the fixture chooses the port:
each test that wants events listens there, at PATH, and shows TOKEN to nobody else. What is posted while nobody
listens is lost, as SeaweedFS does not send it again. Every test makes buckets of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.known_secrets import S3_KEY, known
from tests.seaweed import Seaweed, free_ports, served

PATH = "/events/weed"
TOKEN = known("the-filers-token")
_CONFIG = """
[notification.webhook]
enabled = true
endpoint = "{endpoint}"
bearer_token = "{token}"
timeout_seconds = 5
max_retries = 5
backoff_seconds = 1
max_backoff_seconds = 5
workers = 4
buffer_size = 10000
event_types = ["create", "update", "delete", "rename"]
path_prefixes = ["/buckets/"]
"""


@dataclass(frozen=True)
class WeedWebhook:
    """The server, and the port its events are posted to."""

    server: Seaweed
    port: int

    @property
    def client(self) -> dict[str, Any]:
        """The arguments of an S3 client of it."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": S3_KEY}
        return {"endpoint_url": self.server.endpoint, "region_name": "us-east-1", **keys}


@pytest.fixture(scope="session")
def weed_webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeedWebhook]:
    """A SeaweedFS server that posts events to the port it names."""
    with served_with_webhook(tmp_path_factory.mktemp("weed_webhook"), PATH) as weed:
        yield weed


@contextmanager
def served_with_webhook(home: Path, path: str) -> Iterator[WeedWebhook]:
    """Such a server of its own, on an empty folder, that posts to that path."""
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}{path}"
    (home / "notification.toml").write_text(_CONFIG.format(endpoint=endpoint, token=TOKEN))
    with served(home) as server:
        yield WeedWebhook(server, port)
