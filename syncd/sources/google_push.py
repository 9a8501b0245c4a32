"""Google Cloud Storage's events, pushed: the sources of type `pubsub-push` and `eventarc`.

Pub/Sub and Eventarc show a token signed by Google (`sources.oidc`), which says that the service account configured
sent it, and to whom. Whatever else a request holds is believed of the configured buckets only. A message that can
never be read is kept for a person and acknowledged: Pub/Sub would send it again for days.
https://cloud.google.com/pubsub/docs/push https://cloud.google.com/eventarc/docs/workflows/cloudevents
"""

from abc import abstractmethod
from typing import ClassVar

from pydantic import BaseModel, Field

from syncd.domain.errors import Rejected
from syncd.domain.notifications import EXCERPT, BadEvent, Notices
from syncd.domain.notifications.cloudevents import parse_cloudevents
from syncd.domain.notifications.gcs import parse_gcs, unwrap_pubsub_push
from syncd.ports import Clock, Deliver, Pushed, Reply, Stores
from syncd.sources.of_buckets import BucketsOptions
from syncd.sources.oidc import GOOGLE_KEYS, CallerCheck, needs_jwt
from syncd.sources.pushed import REFUSED, PushedSource, bearer


class GooglePushOptions(BucketsOptions):
    """The options of sources of type `pubsub-push` and `eventarc`."""

    audience: str = Field(
        min_length=1,
        description="The audience that the push subscription names; where it names none, the URL it pushes to.",
    )
    service_account: str = Field(
        pattern=r"^[^@\s]+@[^@\s]+$", description="E-mail of the service account that the push subscription names."
    )
    keys_url: str = Field(
        GOOGLE_KEYS,
        pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/])",
        description=f"Where Google publishes its keys. Default: {GOOGLE_KEYS}.",
    )


class GooglePushSource(PushedSource):
    """What both have in common: who may speak."""

    Options: ClassVar[type[BaseModel]] = GooglePushOptions

    def __init__(self, name: str, options: GooglePushOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._callers = CallerCheck(
            audience=options.audience, email=options.service_account, keys_url=options.keys_url, now=clock.now
        )

    async def check(self) -> None:
        """As the port says: ConfigError when the packages that verify tokens are not installed."""
        needs_jwt(f"sources.{self.name}.type")

    async def _read(self, request: Pushed, deliver: Deliver) -> Reply:
        shown = bearer(request)
        if not shown or not await self._callers.admits(shown[0]):
            return REFUSED
        await self._deliver(self._notices(request), deliver)
        return Reply()

    @abstractmethod
    def _notices(self, request: Pushed) -> Notices:
        """What it says. Rejected: it is none of what this sender sends."""


class PubSubPushSource(GooglePushSource):
    """Takes the messages of a push subscription, wrapped as Pub/Sub does by default."""

    def _notices(self, request: Pushed) -> Notices:
        attributes, data, _ = unwrap_pubsub_push(request.body)
        try:
            return parse_gcs(attributes, data, self._clock.now())
        except Rejected as error:
            return Notices(bad=[BadEvent("malformed", str(error), request.body[:EXCERPT])])


class EventarcSource(GooglePushSource):
    """Takes the CloudEvents of an Eventarc trigger."""

    content_types: ClassVar[frozenset[str]] = frozenset()  # in binary mode it is that of the data

    def _notices(self, request: Pushed) -> Notices:
        return parse_cloudevents(request.headers, request.body, self._clock.now())
