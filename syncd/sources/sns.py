"""Amazon SNS over HTTPS: the source of type `sns`, for topics that buckets or EventBridge publish to.

A message is believed when its topic is configured, its signature verifies and it is no older than an hour. Nothing
is fetched for any other: not its certificate before topic and age are right, not its SubscribeURL before the
signature is. A subscription to a configured topic is confirmed by itself. SNS tries again only after 5xx and 429, so
whatever may be our own trouble is 503.
"""

import re
from datetime import datetime
from typing import Annotated, ClassVar, Literal

import structlog
from pydantic import AfterValidator, BaseModel, Field

from syncd.domain.errors import Rejected
from syncd.domain.notifications import Notices
from syncd.domain.notifications.aws import parse_aws
from syncd.domain.notifications.sns import NOTIFICATION, SUBSCRIBE, Envelope, unwrap_sns
from syncd.ports import Clock, Deliver, Pushed, Reply, Stores
from syncd.sources.of_buckets import BucketsOptions
from syncd.sources.pushed import PushedSource
from syncd.sources.sns_trust import Rules, Untrusted, Verifier, fetch, needs_cryptography

log = structlog.get_logger()

OLDEST_S, AHEAD_S = 3600.0, 900.0
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_RAW = "x-amz-sns-rawdelivery"
_LARGEST = 2 * 1024 * 1024
"""Bytes: a message of SNS is 256 KiB at most, and JSON may make six of one."""


def _topic(arn: str) -> str:
    if not _TOPIC.fullmatch(arn):
        raise ValueError("must be the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:photos")
    return arn


class SnsOptions(BucketsOptions):
    """The options of a source of type `sns`."""

    topics: tuple[Annotated[str, AfterValidator(_topic)], ...] = Field(
        min_length=1, description="ARNs of the topics that are believed, and whose subscriptions are confirmed."
    )
    signature_versions: tuple[Literal["1", "2"], ...] = Field(
        ("2",),
        min_length=1,
        description='Signature versions accepted: "2" (SHA256), set by the topic\'s SignatureVersion, and "1" (SHA1). '
        "Default: 2 only.",
    )


class SnsSource(PushedSource):
    """Takes the messages of SNS topics. `rules` are for tests only."""

    Options: ClassVar[type[BaseModel]] = SnsOptions
    content_types: ClassVar[frozenset[str]] = frozenset({"text/plain", "application/json"})  # SNS sends the first

    def __init__(
        self, name: str, options: SnsOptions, *, stores: Stores, clock: Clock, rules: Rules | None = None
    ) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._topics = frozenset(options.topics)
        self._rules = rules or Rules()
        self._verifier = Verifier(frozenset(options.signature_versions), self._rules)

    async def check(self) -> None:
        """As the port says."""
        needs_cryptography(self.name)

    async def _read(self, request: Pushed, deliver: Deliver) -> Reply:
        if request.headers.get(_RAW, "").lower() == "true":
            return Reply(403, b"Raw message delivery is not signed: turn it off for this subscription.")
        if len(request.body) > _LARGEST:  # read before anything is believed
            return Reply(413)
        envelope = unwrap_sns(request.body)
        if envelope is None:
            raise Rejected("the body is no message of SNS")
        try:
            self._believe(envelope)
            await self._verifier.verify(envelope)
        except Untrusted as error:
            log.warning("sns.message_refused", source=self.name, reason=str(error))
            return Reply(403, f"Refused: {error}.".encode())
        return await self._act(envelope, deliver)

    def _believe(self, envelope: Envelope) -> None:
        """What can be said without fetching anything. Untrusted: not to be looked at further."""
        if envelope.topic_arn not in self._topics:
            raise Untrusted("the topic is not configured")
        age = self._clock.now() - _unix(envelope.timestamp)
        if not -AHEAD_S <= age <= OLDEST_S:
            raise Untrusted("the message is older than an hour, or a clock is wrong")

    async def _act(self, envelope: Envelope, deliver: Deliver) -> Reply:
        if envelope.type == SUBSCRIBE:
            return await self._confirm(envelope)
        notices = Notices(ignored={"subscription": 1})
        if envelope.type == NOTIFICATION:
            notices = parse_aws(envelope.message.encode(), self._clock.now())
        else:  # unsubscribed; its SubscribeURL would subscribe again, which is a person's to decide
            log.warning("sns.unsubscribed", source=self.name, topic=envelope.topic_arn)
        await self._deliver(notices, deliver)
        return Reply()

    async def _confirm(self, envelope: Envelope) -> Reply:
        """Visit SubscribeURL, if it is one of SNS. The token in it is good for two days."""
        if not self._rules.allows(envelope.subscribe_url):
            return Reply(403, b"Refused: the SubscribeURL is not one of Amazon SNS.")
        status, _ = await fetch(envelope.subscribe_url, self._rules)
        if status != 200:
            log.warning("sns.subscription_refused", source=self.name, topic=envelope.topic_arn, status=status)
            return Reply(403, b"Refused: Amazon SNS did not take the confirmation; subscribe anew.")
        log.info("sns.subscription_confirmed", source=self.name, topic=envelope.topic_arn)
        return Reply()


def _unix(timestamp: str) -> float:
    """Seconds of a time such as 2026-11-20T10:00:00.000Z. Untrusted: it is none."""
    try:
        when = datetime.fromisoformat(timestamp)
    except ValueError:
        raise Untrusted("the timestamp is none") from None
    if when.tzinfo is None:
        raise Untrusted("the timestamp has no zone")
    return when.timestamp()
