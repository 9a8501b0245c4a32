"""Queues and buckets on an emulator, a source that reads them, and one who takes what it delivers."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from aiobotocore.session import AioSession

from syncd.domain.errors import Retryable
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import BadEvent
from syncd.ports import EventSource, Seen
from syncd.runtime.clock import SystemClock
from syncd.sources.sqs import SqsOptions, SqsSource
from syncd.stores import Stores
from syncd.stores.memory import MemoryStore
from tests.aws_emulators import KEY, REGION, Emulator

_SESSION = AioSession()
"""One for all: it keeps the descriptions of the services it has read."""
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]


@dataclass
class Cloud:
    """Clients of our own, apart from the product's, and what was made with them."""

    server: Emulator
    sqs: Any
    s3: Any
    sns: Any
    events: Any

    async def queue(self, **attributes: str) -> str:
        """A new queue; its URL."""
        made = await self.sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}", Attributes=attributes)
        return str(made["QueueUrl"])

    async def arn(self, queue: str) -> str:
        """The ARN of a queue."""
        told = await self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        return str(told["Attributes"]["QueueArn"])

    async def bucket(self, notifications: dict[str, Any]) -> str:
        """A new bucket with these notifications; its name."""
        name = f"photos-{uuid.uuid4().hex}"
        await self.s3.create_bucket(Bucket=name)
        await self.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=notifications)
        return name

    async def notifying(self, queue: str) -> str:
        """A new bucket that tells the queue."""
        return await self.bucket({"QueueConfigurations": [{"QueueArn": await self.arn(queue), "Events": EVENTS}]})

    async def send(self, queue: str, *bodies: str) -> None:
        """Put messages into a queue, as S3 would."""
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
            answer = await self.sqs.send_message_batch(QueueUrl=queue, Entries=entries)
            assert not answer.get("Failed")

    async def waiting(self, queue: str) -> tuple[int, int]:
        """How many messages can be received, and how many are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = await self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)
        visible, hidden = (int(told["Attributes"][name]) for name in names)
        return visible, hidden

    async def is_empty(self, queue: str) -> bool:
        """Whether all is deleted."""
        return await self.waiting(queue) == (0, 0)


@asynccontextmanager
async def opened(server: Emulator) -> AsyncIterator[Cloud]:
    """Clients until the context ends."""
    where = {"region_name": REGION, "endpoint_url": server.endpoint}
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
    async with AsyncExitStack() as stack:
        names = ("sqs", "s3", "sns", "events")
        clients = [await stack.enter_async_context(_SESSION.create_client(name, **where, **keys)) for name in names]
        yield Cloud(server, *clients)


def record(bucket: str, key: str, *, name: str = "ObjectCreated:Put", order: int = 1) -> str:
    """A notification as S3 writes it (docs, "Event message structure"); the key has to be encoded already."""
    at = "2026-11-21T10:00:00.000Z"
    thing = {"key": key, "size": 1, "eTag": f"{order:032x}", "sequencer": f"{order:016X}"}
    event = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "eventTime": at}
    return json.dumps({"Records": [{**event, "s3": {"bucket": {"name": bucket}, "object": thing}}]})


def source(queue: str, *buckets: str, endpoint: str, **options: Any) -> SqsSource:
    """A source of a queue. Without other options it is quick."""
    stores = Stores({name: MemoryStore(f"s3://{name}", SystemClock()) for name in buckets}, SystemClock())
    chosen = {"queue": queue, "buckets": buckets, "endpoint": endpoint, "region": REGION, "wait": 1, "pollers": 2}
    made = SqsOptions.model_validate({**chosen, **options})
    return SqsSource("photos", made, stores=stores, clock=SystemClock())


@dataclass
class Taker:
    """Takes what is delivered; `before` is called first, with the number of the call from 1, and may refuse."""

    before: Callable[[int], Awaitable[None]] | None = None
    calls: int = 0
    seen: list[Seen] = field(default_factory=list)
    bad: list[BadEvent] = field(default_factory=list)
    rescans: int = 0

    async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        self.calls += 1
        if self.before:
            await self.before(self.calls)
        self.seen += seen
        self.bad += bad

    def rescan(self) -> None:
        self.rescans += 1

    def of(self, key: str) -> list[Observation]:
        """What was said of a key, in order."""
        return [sight for ref, sight in self.seen if ref.key == key]

    def keys(self) -> set[str]:
        """All that anything was said of."""
        return {ref.key for ref, _ in self.seen}

    def refs(self) -> set[ObjectRef]:
        return {ref for ref, _ in self.seen}


def refusing(times: int) -> Callable[[int], Awaitable[None]]:
    """Our own trouble, so many times."""

    async def before(call: int) -> None:
        if call <= times:
            raise Retryable("the state store is busy", retry_after=0.05)

    return before


@asynccontextmanager
async def running(read: SqsSource, taker: Taker) -> AsyncIterator[asyncio.Task[None]]:
    """The source, until the context ends. What it raises comes through."""
    job = asyncio.create_task(read.run(taker.deliver, taker.rescan))
    try:
        yield job
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


async def eventually(what: str, condition: Callable[[], Awaitable[bool]], *, within: float = 20.0) -> None:
    """As `until`, of what has to be asked for."""
    try:
        async with asyncio.timeout(within):
            while not await condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {within:g} s") from None


class SqsWorld:
    """A source and how the world makes it speak, for the contract suite: what S3 would send, sent to the queue."""

    def __init__(self, cloud: Cloud, queue: str) -> None:
        self.source: EventSource = source(queue, "photos", endpoint=cloud.server.endpoint, wait=20)
        self._cloud, self._queue = cloud, queue
        self._order = 0
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    def put(self, key: str) -> None:
        self._tell(key, "ObjectCreated:Put")

    def delete(self, key: str) -> None:
        self._tell(key, "ObjectRemoved:Delete")

    def _tell(self, key: str, name: str) -> None:
        self._order += 1
        self._waiting.put_nowait(record("photos", quote_plus(key), name=name, order=self._order))

    async def speak(self) -> None:
        """Send what waits, in order."""
        while True:
            bodies = [await self._waiting.get()]
            bodies += [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
            await self._cloud.send(self._queue, *bodies)


@asynccontextmanager
async def sqs_world(server: Emulator) -> AsyncIterator[SqsWorld]:
    """A world with a queue of its own."""
    async with opened(server) as cloud:
        world = SqsWorld(cloud, await cloud.queue())
        speaking = asyncio.create_task(world.speak())
        try:
            yield world
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
