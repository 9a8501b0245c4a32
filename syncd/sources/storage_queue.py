"""Azure Blob Storage's events out of a storage queue that Event Grid fills: the source of type `storage-queue`.

A message is hidden from others while it is worked on, the hiding renewed (which changes its receipt each time), and
it is deleted only when what it said is durable. One that was handed out too often without being finished, because
whoever had it died each time, is kept for a person. Limits: 32 messages at once; no long polling, so an empty queue
is asked every `poll_every` seconds, by one only. Event Grid writes base64 of either of its schemas; the same
unencoded is read as well.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from syncd.clouds.azure import Forbidden, Lost, Missing, in_our_words, needs_azure, open_queue
from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.notifications import EXCERPT, BadEvent, Notices
from syncd.domain.notifications.azure import parse_event_grid
from syncd.ports import Clock, Deliver, Stores
from syncd.secrets import SecretRef
from syncd.sources.gate import Gate
from syncd.sources.of_buckets import BucketsOptions, BucketsSource
from syncd.sources.pulling import Pulling

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient

BATCH = 32
"""The most that Azure gives at once."""


class StorageQueueOptions(BucketsOptions):
    """The options of a source of type `storage-queue`."""

    queue: str = Field(
        pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$", description="Name of the queue that Event Grid delivers to."
    )
    account_url: str = Field(
        pattern=r"^(https://[^/\s]+(/[a-z0-9]+)?/?|http://(127\.0\.0\.1|localhost)(:[0-9]+)?/[a-z0-9]+/?)$",
        description="Where the account's queues are: https://ACCOUNT.queue.core.windows.net.",
    )
    credentials: SecretRef | None = Field(
        None,
        description="Where a SAS token or the account's key is. Default: keyless (workload identity, managed identity; "
        "AZURE_CLIENT_ID names one of several).",
    )
    account: str | None = Field(
        None,
        pattern=r"^[a-z0-9]{3,24}$",
        description="Only events of this storage account count. Default: of any, as the queue is ours.",
    )
    visibility: int = Field(
        60, ge=3, le=604_800, description="Seconds a message is hidden from others at a time. Default: 60."
    )
    in_flight: int = Field(4, ge=1, le=64, description="Batches of 32 messages under way at once. Default: 4.")
    poll_every: float = Field(1.0, gt=0, description="Seconds between two looks at an empty queue. Default: 1.")
    most_tries: int = Field(
        20, ge=2, description="A message handed out more often, never finished, is kept for a person. Default: 20."
    )


@dataclass(slots=True)
class _Message:
    id: str
    receipt: str
    """The newest one; empty when it is not ours any more."""
    text: str
    tries: int


class StorageQueueSource(BucketsSource):
    """Reads one queue."""

    Options = StorageQueueOptions

    def __init__(self, name: str, options: StorageQueueOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._options = options

    async def check(self) -> None:
        """As the port says. Retryable: Azure cannot be reached."""
        needs_azure(f"sources.{self.name}.type")
        queue = _StorageQueue(self._options, f"sources.{self.name}", self._clock)
        try:
            await queue.check()
        finally:
            await queue.close()

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says."""
        queue = _StorageQueue(self._options, f"sources.{self.name}", self._clock)
        gate = Gate(self.name, self.stores)
        await Pulling(self.name, queue, gate, self._clock, self._options.in_flight).run(deliver, rescan)


class _StorageQueue:
    """The queue, as a `pulling.Queue`."""

    def __init__(self, options: StorageQueueOptions, field: str, clock: Clock) -> None:
        self.keep_first = self.keep_every = options.visibility / 3
        self._options = options
        self._field = field
        self._clock = clock
        self._clients = AsyncExitStack()
        self._open: tuple[str, QueueClient] | None = None
        self._lock = asyncio.Lock()
        self._looking = asyncio.Lock()

    async def check(self) -> None:
        """Whether the queue is there and we may see it."""
        field, found = f"{self._field}.queue", self._options.queue
        try:
            client = await self._client()
            with in_our_words():
                await client.get_queue_properties()
        except Missing:
            raise ConfigError([Problem(field, f"{found}: there is none", "an existing queue of the account")]) from None
        except Forbidden as error:
            allowed = "one that syncd may read: give it the role Storage Queue Data Message Processor and Reader there"
            raise ConfigError([Problem(field, f"{found}: {error}", allowed)]) from None

    async def take(self) -> Sequence[_Message]:
        async with self._looking:  # at an empty queue one looks for all
            messages = await self._receive()
            if not messages:
                await self._clock.sleep(self._options.poll_every)
        return messages

    async def _receive(self) -> list[_Message]:
        client = await self._client()
        with in_our_words():
            found = client.receive_messages(
                messages_per_page=BATCH, max_messages=BATCH, visibility_timeout=self._options.visibility
            )
            return [_Message(m.id, m.pop_receipt or "", m.content, m.dequeue_count or 0) async for m in found]

    def read(self, message: _Message) -> Notices:
        if message.tries > self._options.most_tries:
            detail = f"handed out {message.tries} times and never finished; what it says is looked at by reconcile"
            return Notices(bad=[BadEvent("abandoned", detail, self.excerpt(message)[:EXCERPT])])
        return parse_event_grid(_body(message.text), self._clock.now(), account=self._options.account)

    def excerpt(self, message: _Message) -> bytes:
        try:
            return _body(message.text)
        except Rejected:
            return message.text.encode("utf-8", "replace")

    async def keep(self, messages: Sequence[_Message]) -> None:
        await self._each(messages, lambda client, message: self._hide(client, message, self._options.visibility))

    async def finish(self, messages: Sequence[_Message]) -> None:
        await self._each(messages, self._delete)

    async def give_back(self, messages: Sequence[_Message]) -> None:
        await self._each(messages, lambda client, message: self._hide(client, message, 0))

    async def _each(
        self, messages: Sequence[_Message], act: Callable[["QueueClient", _Message], Awaitable[None]]
    ) -> None:
        """Of those that are still ours. One that fails keeps none of the others back; then its error is raised."""
        client = await self._client()
        ours = [message for message in messages if message.receipt]
        results = await asyncio.gather(*(self._one(client, m, act) for m in ours), return_exceptions=True)
        for result in results:
            if result:
                raise result

    async def _one(
        self, client: "QueueClient", message: _Message, act: Callable[["QueueClient", _Message], Awaitable[None]]
    ) -> None:
        try:
            with in_our_words():
                await act(client, message)
        except Lost:
            message.receipt = ""

    async def _hide(self, client: "QueueClient", message: _Message, seconds: int) -> None:
        hidden = await client.update_message(message.id, message.receipt, visibility_timeout=seconds)
        message.receipt = hidden.pop_receipt or ""

    async def _delete(self, client: "QueueClient", message: _Message) -> None:
        await client.delete_message(message.id, message.receipt)

    async def _client(self) -> "QueueClient":
        """The client; another one when the secret was replaced. Batches under way keep theirs until the end."""
        ref, secret = self._options.credentials, ""
        if ref:
            secret = ref.read(f"{self._field}.credentials")
        async with self._lock:
            if self._open is None or self._open[0] != secret:
                opening = open_queue(self._options.queue, account_url=self._options.account_url, secret=secret)
                self._open = secret, await self._clients.enter_async_context(opening)
            return self._open[1]

    async def close(self) -> None:
        self._open = None
        await self._clients.aclose()


def _body(text: str) -> bytes:
    """The envelope: JSON as it stands, or in base64."""
    if text.lstrip()[:1] in {"{", "["}:
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected("the message is neither JSON nor base64") from None
