"""Azurite for tests: Microsoft's own emulator of Azure's blobs and queues, one server for the whole run.

Ask for the fixture `azurite`; every test takes a container and a queue of its own. It is installed once by npm
(about 25 s, 190 MB). It raises no
Event Grid events: a test puts the documented envelope into the queue itself. Nothing is kept when it ends.
"""

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.known_secrets import known
from tests.npm import NODE, installed

VERSION = "3.35.0"
"""Later ones did not install: they ask for a package that is not there."""
ACCOUNT = "devstoreaccount1"
KEY = known("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
"""Azurite's account and key, the same everywhere and published by Microsoft; as any other is no less to be kept."""
_UP_WITHIN = 60.0


@dataclass(frozen=True)
class Azurite:
    """A running server. `blob_endpoint`, `queue_endpoint`: URLs that end with the account."""

    blob_endpoint: str
    queue_endpoint: str
    account: str = ACCOUNT
    key: str = KEY
    ended: Callable[[], bool] = lambda: False

    @property
    def connection_string(self) -> str:
        """For Microsoft's SDK, of both services."""
        return (
            f"AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};"
        )

    @property
    def options(self) -> dict[str, str]:
        """Endpoint and credentials by their object_store names, as `[buckets.NAME] storage_options` takes them."""
        return {
            "azure_storage_account_name": self.account,
            "azure_storage_account_key": self.key,
            "azure_endpoint": self.blob_endpoint,
            "azure_allow_http": "true",
        }

    def wait_until_up(self) -> None:
        """Return once it makes containers."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415

        deadline = time.monotonic() + _UP_WITHIN
        while True:
            try:
                self.container()
            except (AzureError, OSError):
                assert not self.ended(), "azurite ended at once: see its log"
                assert time.monotonic() < deadline, f"azurite was not up within {_UP_WITHIN:g} s"
                time.sleep(0.1)
            else:
                return

    def container(self) -> str:
        """A new, empty container; its name."""
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - dear, and this module is always imported

        name = f"c{uuid.uuid4().hex}"
        with BlobServiceClient.from_connection_string(self.connection_string, retry_total=0) as service:
            service.create_container(name)
        return name


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """An Azurite server, in memory."""
    with serving(tmp_path_factory.mktemp("azurite")) as running:
        running.wait_until_up()
        yield running


@contextmanager
def serving(home: Path, *flags: str, scheme: str = "http") -> Iterator[Azurite]:
    """A server with these flags, in memory, perhaps not up yet. `home` takes its log."""
    ports = dict(zip(("blob", "queue", "table"), _free_ports(3), strict=True))
    server = _started(installed("azurite", VERSION) / "dist" / "src" / "azurite.js", home, ports, flags)
    blob, queue = (f"{scheme}://127.0.0.1:{ports[service]}/{ACCOUNT}" for service in ("blob", "queue"))
    try:
        yield Azurite(blob, queue, ended=lambda: server.poll() is not None)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _started(script: Path, home: Path, ports: Mapping[str, int], flags: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [
        str(NODE),
        str(script),
        "--disableTelemetry",
        "--skipApiVersionCheck",
        "--silent",
        "--inMemoryPersistence",
    ]
    for service, port in ports.items():
        command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    with (home / "log").open("wb") as log:
        return subprocess.Popen([*command, *flags], cwd=home, stdout=log, stderr=log, start_new_session=True)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
