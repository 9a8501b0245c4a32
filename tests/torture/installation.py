"""One syncd on the servers of a `Ground`: its configuration, its daemon, and what it can be asked.

A `Site` of the acceptance tests whose objects and snapshots are in S3, and whose state is where the run wants it.
What it is told to reach may be a proxy; the truth is always read from the servers themselves.
"""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from syncd.domain.errors import ConfigError, Rejected
from syncd.runtime.clock import SystemClock
from syncd.state import SqlState, open_state
from tests.acceptance.site import Site
from tests.acceptance.transports.s3 import S3Bucket
from tests.seaweed_webhook import TOKEN
from tests.torture.ground import SOURCE, Ground

DATASET = "photos"
Daemon = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Setup:
    """How an installation is set up; empty addresses mean the servers themselves. Times in seconds.

    `batch`: subjects of one claim, few, so that a short life of a daemon gets something done.
    `source`: TOML of `[sources.photos]`. `more`: TOML put at the end.
    """

    state: str = ""
    studio: str = ""
    s3: str = ""
    public_url: str = ""
    port: int = 0
    every: float = 5
    settle_imports: float = 15
    lease: float = 60
    batch: int = 10
    source: str = 'type = "seaweedfs"'
    on_delete: str = "retire"
    more: str = ""


class Installation(Site):
    """A syncd with one bucket and one dataset. `bucket` is the bucket itself, past any proxy."""

    def __init__(self, ground: Ground, setup: Setup) -> None:
        self.ground = ground
        self.bucket: S3Bucket = ground.bucket()
        self.setup = setup
        self.snapshots = f"s3://{ground.weed.server.bucket}/{uuid.uuid4().hex}"
        super().__init__(ground.folder(), ground.studio)

    def change(self, **fields: Any) -> None:
        """Another setup from the next start on."""
        self.setup = replace(self.setup, **fields)
        self.configure()

    def configure(self, **_: Any) -> None:
        """Write the configuration and the secrets."""
        setup = self.setup
        self.port = setup.port or self.ground.weed.port
        for name, secret in (("token", self.studio.pat), ("weed-token", TOKEN)):
            (self.home / name).write_text(secret)
            (self.home / name).chmod(0o600)
        options = self.ground.options() | ({"aws_endpoint": setup.s3} if setup.s3 else {})
        storage = "\n".join(f'{name} = "{value}"' for name, value in options.items())
        self.config.write_text(f"""
data_dir = "{self.home}/data"
[state]
url = "{self.state_url}"
[receiver]
port = {self.port}
admin = "receiver"
public_url = "{setup.public_url or f"http://127.0.0.1:{self.port}"}"
[worker]
lease = {setup.lease}
batch = {setup.batch}
[retry]
longest = 3
[reconcile]
every = {setup.every}
settle_imports = {setup.settle_imports}
deletions_every = {setup.every * 2}
retire_limit = 1
[buckets.photos]
url = "s3://{self.bucket.name}"
[buckets.photos.storage_options]
{storage}
[sources.{SOURCE}]
{setup.source}
buckets = ["photos"]
tokens = [{{ file = "{self.home}/weed-token" }}]
[annotators.studio]
type = "label-studio"
url = "{setup.studio or self.studio.url}"
token = {{ file = "{self.home}/token" }}
[datasets.{DATASET}]
annotator = "studio"
sources = ["{SOURCE}"]
title = "{self.title}"
task = "image-classification"
labels = ["cat", "dog"]
media = "signed"
on_change = "replace"
on_delete = "{setup.on_delete}"
[datasets.{DATASET}.snapshots]
url = "{self.snapshots}"
after_quiet = 0.5
at_least_every = 5
[datasets.{DATASET}.snapshots.storage_options]
{storage}
{setup.more}
""")

    @property
    def state_url(self) -> str:
        """Where the state is, as configured."""
        return self.setup.state or f"sqlite:///{self.home}/data/state.db"

    @asynccontextmanager
    async def state(self) -> AsyncIterator[SqlState]:
        """The state store, beside a running daemon."""
        state = await open_state(self.setup.state or f"{self.home}/data/state.db", SystemClock(), exclusive=False)
        try:
            yield state
        finally:
            await state.close()

    def objects(self) -> dict[str, str]:
        """What is in the bucket: key → etag."""
        return dict(asyncio.run(self.bucket.versions()))

    def rows(self, version: str = "latest", status: str = "all") -> list[dict[str, Any]]:
        """All rows of a version of whatever status, opened as a training job does; none where there is no version."""
        import syncd  # noqa: PLC0415 - only here the training side is used

        try:
            options = self.ground.options()
            snapshot = syncd.open_snapshot(f"{self.snapshots}/{DATASET}@{version}", storage_options=options)
        except (ConfigError, Rejected):  # there is no version yet
            return []
        return list(snapshot.rows(status=status))


@contextmanager
def installed(ground: Ground, setup: Setup | None = None) -> Iterator[Installation]:
    """A new installation, whose daemons end with the context."""
    installation = Installation(ground, setup or Setup())
    try:
        yield installation
    finally:
        installation.close()
