"""Google Cloud Storage's events out of a Pub/Sub subscription, by pulling: the source of type `pubsub`.

Over REST (`clouds.gcp`). A message's deadline is extended while it is being delivered, and it is acknowledged only
when that is durable. Any number of hosts may pull one subscription. Limits: 1,000 messages a pull; no order.
https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from syncd.clouds.extras import needing
from syncd.clouds.gcp import Forbidden, GoogleApi, GoogleTokens, Missing, Slow
from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.notifications import Notices
from syncd.domain.notifications.gcs import parse_gcs
from syncd.ports import Clock, Deliver, Stores
from syncd.secrets import SecretRef
from syncd.sources.gate import Gate
from syncd.sources.of_buckets import BucketsOptions, BucketsSource
from syncd.sources.pulling import Pulling

SCOPE = "https://www.googleapis.com/auth/pubsub"
ENDPOINT = "https://pubsub.googleapis.com"
CONSUME = "pubsub.subscriptions.consume"
FIRST_EXTENSION_S = 4.0
"""The shortest deadline a subscription can have is 10 s."""
LONG_POLL_S = 90.0
ANSWER_S = 10.0
EMPTY_S = 0.2
"""The pause after an empty answer, for a server that does not hold a pull open."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class PubSubOptions(BucketsOptions):
    """The options of a source of type `pubsub`."""

    subscription: str = Field(
        pattern=r"^projects/[^/\s]+/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$",
        description="The subscription, as projects/PROJECT/subscriptions/NAME; one that pulls.",
    )
    credentials: SecretRef | None = Field(
        None,
        description="Where a service account's key in JSON is. Default: keyless, as Application Default Credentials "
        "are found (workload identity, metadata server, GOOGLE_APPLICATION_CREDENTIALS).",
    )
    batch: int = Field(500, ge=1, le=1000, description="Most messages taken at once. Default: 500.")
    in_flight: int = Field(4, ge=1, le=64, description="Batches under way at once. Default: 4.")
    ack_deadline: int = Field(
        60, ge=10, le=600, description="Seconds by which a message's deadline is extended while it is worked on."
    )
    endpoint: str = Field(
        ENDPOINT,
        pattern=r"^https?://[^/\s]+/?$",
        description=f"Where Pub/Sub is; a http:// one is an emulator and gets no token. Default: {ENDPOINT}.",
    )

    @model_validator(mode="after")
    def _no_token_in_the_open(self) -> Self:
        url = urlsplit(self.endpoint)
        if url.scheme == "http" and self.credentials and url.hostname not in _LOOPBACK:
            raise ValueError("credentials are not sent to a http:// endpoint: use https://, or none")
        return self


@dataclass(frozen=True, slots=True)
class _Message:
    ack_id: str
    attributes: Mapping[str, str]
    data: str
    """Base64, as it came."""


class PubSubSource(BucketsSource):
    """Pulls one subscription."""

    Options = PubSubOptions

    def __init__(self, name: str, options: PubSubOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._options = options

    async def check(self) -> None:
        """As the port says. Retryable: Google cannot be reached."""
        field = f"sources.{self.name}"
        with needing("gcp", f"{field}.type"):
            import google.auth  # noqa: F401, PLC0415 - optional
        queue = self._queue()
        try:
            await queue.check(f"{field}.subscription")
        finally:
            await queue.close()

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says."""
        gate = Gate(self.name, self.stores)
        await Pulling(self.name, self._queue(), gate, self._clock, self._options.in_flight).run(deliver, rescan)

    def _queue(self) -> "_Subscription":
        options = self._options
        tokens = None
        if options.credentials or options.endpoint.startswith("https://"):
            field = f"sources.{self.name}.credentials"
            tokens = GoogleTokens(SCOPE, credentials=options.credentials, field=field)
        return _Subscription(GoogleApi(options.endpoint, tokens), options, self._clock)


class _Subscription:
    """The subscription, as a `pulling.Queue`."""

    keep_first = FIRST_EXTENSION_S

    def __init__(self, api: GoogleApi, options: PubSubOptions, clock: Clock) -> None:
        self.keep_every = options.ack_deadline / 3
        self._api = api
        self._options = options
        self._clock = clock

    async def check(self, field: str) -> None:
        """Whether it is there and we may pull it; asking takes no permission. Emulators are not asked."""
        if self._options.endpoint.startswith("http://") and not self._options.credentials:
            return
        found = self._options.subscription
        try:
            answer = await self._post("testIamPermissions", {"permissions": [CONSUME]}, timeout=ANSWER_S)
        except Missing:
            raise ConfigError([Problem(field, f"{found}: there is none", "an existing subscription")]) from None
        except Forbidden:
            answer = {}
        if CONSUME not in answer.get("permissions", []):
            allowed = "one that syncd may pull: give its service account roles/pubsub.subscriber there"
            raise ConfigError([Problem(field, f"{found}: refused", allowed)])

    async def take(self) -> Sequence[_Message]:
        try:
            answer = await self._post("pull", {"maxMessages": self._options.batch}, timeout=LONG_POLL_S)
        except Slow:
            return []
        messages = [_message(received) for received in answer.get("receivedMessages", [])]
        if not messages:
            await self._clock.sleep(EMPTY_S)
        return messages

    def read(self, message: _Message) -> Notices:
        try:
            data = base64.b64decode(message.data, validate=True)
        except (binascii.Error, ValueError):
            raise Rejected("the message's data is no base64") from None
        return parse_gcs(message.attributes, data, self._clock.now())

    def excerpt(self, message: _Message) -> bytes:
        try:
            return base64.b64decode(message.data)
        except (binascii.Error, ValueError):
            return message.data.encode("utf-8", "replace")

    async def keep(self, messages: Sequence[_Message]) -> None:
        await self._extend(messages, self._options.ack_deadline)

    async def finish(self, messages: Sequence[_Message]) -> None:
        await self._post("acknowledge", {"ackIds": [m.ack_id for m in messages]}, timeout=ANSWER_S)

    async def give_back(self, messages: Sequence[_Message]) -> None:
        await self._extend(messages, 0)

    async def _extend(self, messages: Sequence[_Message], seconds: int) -> None:
        ids = [m.ack_id for m in messages]
        await self._post("modifyAckDeadline", {"ackIds": ids, "ackDeadlineSeconds": seconds}, timeout=ANSWER_S)

    async def _post(self, verb: str, body: Mapping[str, object], *, timeout: float) -> dict[str, Any]:
        return await self._api.post(f"v1/{self._options.subscription}:{verb}", body, timeout=timeout)

    async def close(self) -> None:
        await self._api.close()


def _message(received: Mapping[str, Any]) -> _Message:
    message = received.get("message") or {}
    return _Message(received["ackId"], message.get("attributes") or {}, message.get("data") or "")
