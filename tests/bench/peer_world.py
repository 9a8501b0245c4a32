"""What the benches against Label Studio share: a server of it, a bucket, and the real daemon between the two.

Called by `peers`. Everything is reached as a user would: events by HTTP, Label Studio by its API, the daemon as a
process of its own. Only what is there already is looked up in the daemon's state file, read-only, which costs Label
Studio nothing; a file that did not change is not read.
"""

import asyncio
import hashlib
import http.client
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

from obstore.store import S3Store

from syncd.annotators.label_studio.person import Person
from tests.acceptance.site import Site, until
from tests.label_studio import LabelStudioServer, home_maker, serve
from tests.seaweed import Seaweed, served

RESOLUTION_S = 0.002
"""How often it is looked whether a task is there, where nothing else is said."""
PER_BODY = 100
"""Events in one request."""
LABELS = (
    '<View><Image name="image" value="$image"/>'
    '<Choices name="choice" toName="image"><Choice value="a"/></Choices></View>'
)
_TOKEN = "the-token-of-the-bench"
_PUTS_AT_ONCE = 32
_PICTURE = b"not really a picture"
_WITHIN_S = 600.0


class World:
    """One Label Studio and one bucket."""

    def __init__(self, home: Path, studio: LabelStudioServer, weed: Seaweed) -> None:
        self.home, self.studio, self.weed = home, studio, weed
        self.person = Person(studio.url, studio.token)
        self._store = S3Store(weed.bucket, config=weed.options)  # type: ignore[arg-type]

    def project(self, title: str) -> int:
        """Make a project of the label config that the daemon's has; its id."""
        made = self.person.http.post("/api/projects/", json={"title": title, "label_config": LABELS})
        made.raise_for_status()
        return int(made.json()["id"])

    def put(self, prefix: str, count: int) -> list[str]:
        """So many objects below a prefix; their keys."""
        keys = [f"{prefix}/photo {number:06d}.jpg" for number in range(count)]
        asyncio.run(self._put(keys))
        return keys

    async def _put(self, keys: Sequence[str]) -> None:
        slots = asyncio.Semaphore(_PUTS_AT_ONCE)

        async def one(key: str) -> None:
            async with slots:
                await self._store.put_async(key, _PICTURE, use_multipart=False)

        await asyncio.gather(*map(one, keys))


@contextmanager
def world(home: Path) -> Iterator[World]:
    """Until the context ends. Installing Label Studio takes a minute, once."""
    with ExitStack() as servers:
        (home / "weed").mkdir()
        weed = servers.enter_context(served(home / "weed"))
        studio_home = home_maker()(home / "label-studio")
        studio = servers.enter_context(serve(studio_home, home / "files", {}))
        yield servers.enter_context(_closed(World(home, studio, weed)))


@contextmanager
def _closed(opened: World) -> Iterator[World]:
    with opened.person:
        yield opened


class Daemon:
    """The real daemon, told of its bucket by a webhook, and what it says it has done.

    Its objects are those below the prefix `name`. `url`: Label Studio's, as it is to reach it; `public_url`: its own,
    as Label Studio is to. `batch`: tasks of one import. `every`: seconds between two looks for what was missed.
    """

    def __init__(
        self, world: World, name: str, *, url: str = "", public_url: str = "", batch: int = 500, every: float = 3600
    ) -> None:
        home = world.home / name
        home.mkdir()
        self.bucket = world.weed.bucket
        self.site = Site(home, world.studio)
        self.title = self.site.title
        secrets = {key: value for key, value in world.weed.options.items() if "access_key" in key}
        for file, content in {**secrets, "webhook-token": _TOKEN, "labels.xml": LABELS}.items():
            (home / file).write_text(content)
        public = f'public_url = "{public_url}"' if public_url else ""
        self.site.config.write_text(
            f'data_dir = "{home}/data"\n[receiver]\nport = {self.site.port}\n{public}\n[worker]\nbatch = {batch}\n'
            f"[reconcile]\nevery = {every}\n"
            + _bucket(world, home, name)
            + _dataset(world, home, url or world.studio.url, self.title)
        )
        self.process = self.site.start()
        until("the project", lambda: world.person.project(self.title), timeout=60)
        until("the first listing", lambda: "bucket.reconciled" in self.site.log(), timeout=60)
        self._state = sqlite3.connect(f"file:{home}/data/state.db?mode=ro", uri=True)
        self._http = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=60)

    def close(self) -> None:
        """End it."""
        self._http.close()
        self._state.close()
        self.site.stop(self.process)
        self.site.close()

    def tell(self, keys: Sequence[str]) -> None:
        """The events of new objects, as MinIO shapes them; all of them are durable on return."""
        for body in self.bodies(keys):
            self.post(body)

    def bodies(self, keys: Sequence[str]) -> list[bytes]:
        """The same events, to be posted."""
        return [
            json.dumps({"Records": [_event(self.bucket, key) for key in keys[start : start + PER_BODY]]}).encode()
            for start in range(0, len(keys), PER_BODY)
        ]

    def post(self, body: bytes) -> None:
        """One request."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {_TOKEN}"}
        self._http.request("POST", "/events/photos", body, headers)
        answer = self._http.getresponse()
        assert answer.status < 300, (answer.status, answer.read())
        answer.read()

    def tasks(self) -> int:
        """How many tasks it has recorded."""
        return int(self._one("SELECT count(*) FROM records"))

    def wait_for_tasks(self, count: int, *, every: float = RESOLUTION_S) -> None:
        """Return when so many are recorded."""
        self._wait_for_state(lambda: self.tasks() >= count, every)

    def wait_until_quiet(self) -> None:
        """Return when nothing waits for a worker."""
        self._http.close()  # it would be idle for longer than a sender's connection may be
        left = "SELECT count(*) FROM subjects WHERE ready_at IS NOT NULL"
        self._wait_for_state(lambda: not self._one(left), RESOLUTION_S)

    def _wait_for_state(self, check: Callable[[], bool], every: float) -> None:
        """Return when that holds of the state, which is read only when it changed."""
        seen: list[int] = []

        def holds() -> bool:
            now = self._one("PRAGMA data_version")
            changed, seen[:] = seen != [now], [now]
            return changed and check()

        self.wait(holds, every=every)

    def wait(self, check: Callable[[], bool], *, every: float = RESOLUTION_S) -> None:
        """Return when it holds, to `every` seconds; fail when the daemon ends, or it takes too long."""
        deadline = time.monotonic() + _WITHIN_S
        while not check():
            assert self.process.poll() is None, self.site.log()[-3000:]
            assert time.monotonic() < deadline, self.site.log()[-3000:]
            time.sleep(every)

    def _one(self, query: str) -> Any:
        return self._state.execute(query).fetchone()[0]


def _bucket(world: World, home: Path, prefix: str) -> str:
    options = "\n".join(f'{key} = "{value}"' for key, value in world.weed.options.items())
    return f"""
[buckets.photos]
url = "s3://{world.weed.bucket}"
[buckets.photos.storage_options]
{options}
[sources.photos]
type = "minio"
buckets = ["photos"]
tokens = [{{ file = "{home}/webhook-token" }}]
include = ["{prefix}/**/*.jpg"]
"""


def _dataset(world: World, home: Path, url: str, title: str) -> str:
    """Every change makes a version at once, where annotations are pulled."""
    return f"""
[annotators.studio]
type = "label-studio"
url = "{url}"
token = {{ file = "{home}/token" }}
[[annotators.studio.storages]]
bucket = "s3://{world.weed.bucket}"
endpoint = "{world.weed.endpoint}"
region = "{world.weed.options["aws_region"]}"
access_key_id = {{ file = "{home}/aws_access_key_id" }}
secret_access_key = {{ file = "{home}/aws_secret_access_key" }}
[datasets.photos]
annotator = "studio"
sources = ["photos"]
title = "{title}"
label_config = "labels.xml"
[datasets.photos.snapshots]
after_changes = 1
"""


@contextmanager
def daemon(world: World, name: str, **options: Any) -> Iterator[Daemon]:
    """A running `Daemon` until the context ends."""
    running = Daemon(world, name, **options)
    try:
        yield running
    finally:
        running.close()


def _event(bucket: str, key: str) -> Mapping[str, Any]:
    etag = hashlib.md5(_PICTURE).hexdigest()  # noqa: S324 - what S3 does
    thing = {"key": quote_plus(key), "eTag": etag, "size": len(_PICTURE), "sequencer": "17A1B2C3D4E5F607"}
    about = {"bucket": {"name": bucket}, "object": thing}
    return {"eventVersion": "2.0", "eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put", "s3": about}


class Importer:
    """The bare loop: tasks as they are, by one connection, in one request after the other."""

    def __init__(self, world: World, project: int) -> None:
        self._path = f"/api/projects/{project}/import"
        url = urlsplit(world.studio.url)
        self._http = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_WITHIN_S)
        self._headers = {"Authorization": f"Token {world.studio.token}", "Content-Type": "application/json"}

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def send(self, body: bytes) -> None:
        """One request with a list of tasks."""
        self._http.request("POST", self._path, body, self._headers)
        answer = self._http.getresponse()
        told = answer.read()
        assert answer.status == 201, (answer.status, told[:500])
