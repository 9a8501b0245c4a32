"""A receiver with push sources over real loopback HTTP, and what they delivered, for their tests."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
from prometheus_client import REGISTRY

from syncd.domain.errors import SyncdError
from syncd.domain.model import Observation
from syncd.domain.notifications import BadEvent
from syncd.ports import Clock, PushSource, Seen
from syncd.runtime.clock import SystemClock
from syncd.sources.receiver import Limits, Probes, Push, Receiver
from syncd.stores import Stores
from syncd.stores.memory import MemoryStore

BUCKET = "s3://photos"
LIMITS = Limits(body=1_000_000, header_timeout=2.0, body_timeout=2.0)


def stores(**urls: str) -> Stores:
    """Stores in memory, by the name of their bucket; `photos` is always there."""
    clock = SystemClock()
    return Stores({name: MemoryStore(url, clock) for name, url in {"photos": BUCKET, **urls}.items()}, clock)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Post:
    """A listening receiver. `error` is raised by every delivery while it is set."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    bad: list[BadEvent] = field(default_factory=list)
    deliveries: int = 0
    counted: list[tuple[str, int]] = field(default_factory=list)
    error: SyncdError | None = None

    async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        if self.error:
            raise self.error
        await asyncio.sleep(0)
        self.deliveries += 1
        self.seen += seen
        self.bad += bad

    async def post(self, path: str, body: bytes = b"", **headers: str) -> Answer:
        """POST; `_` in the names of headers is `-`."""
        return await self.ask("POST", path, body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """Any request; headers may come twice."""
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session,
            session.request(method, self.url(path), data=body or None, headers=headers) as answer,
        ):
            return Answer(answer.status, answer.headers, await answer.read())

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def keys(self) -> list[str]:
        """The keys seen, in order."""
        return [ref.key for ref, _ in self.seen]

    def last(self, key: str) -> Observation:
        """What was seen of a key at last."""
        return [sight for ref, sight in self.seen if ref.key == key][-1]


@asynccontextmanager
async def listening(*sources: PushSource, limits: Limits = LIMITS, port: int = 0) -> AsyncIterator[Post]:
    """A receiver that has these sources at `/events/NAME`, on a free port or this one."""
    post = Post()

    async def ready() -> str:
        return ""

    probes = Probes(ready, lambda: (b"", "text/plain"), lambda route, status: post.counted.append((route, status)))
    pushes = {
        f"/events/{source.name}": Push(source.methods, partial(source.receive, deliver=post.deliver))
        for source in sources
    }
    async with Receiver({}, probes, limits, pushes).listen("127.0.0.1", port) as post.port:
        yield post


def made(kind: type[Any], clock: Clock | None = None, name: str = "photos", url: str = BUCKET, **options: Any) -> Any:
    """A source of this class, of the bucket `photos` (at `url`) unless told otherwise."""
    checked = kind.Options.model_validate({"buckets": ["photos"], **options})
    return kind(name, checked, stores=stores(photos=url, other="s3://other"), clock=clock or SystemClock())


def counted(source: str, outcome: str, reason: str = "") -> float:
    """So many events of a source had this outcome so far."""
    labels = {"source": source, "outcome": outcome, "reason": reason}
    return REGISTRY.get_sample_value("syncd_source_events_total", labels) or 0.0
