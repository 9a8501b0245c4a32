"""Amazon EventBridge by an API destination: the source of type `eventbridge`.

The secret is the API key of the destination's connection, shown in a header of any name. EventBridge sends again
after 429 and 5xx, for up to 24 hours, and gives an answer 5 seconds
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html).
"""

from typing import ClassVar

from pydantic import BaseModel, Field

from syncd.domain.notifications import Notices
from syncd.domain.notifications.eventbridge import parse_eventbridge
from syncd.ports import WEBHOOK_SECRET_HEADER, Clock, Pushed, Stores
from syncd.sources.pushed import TokenOptions, TokenSource


class EventBridgeOptions(TokenOptions):
    """The options of a source of type `eventbridge`."""

    header: str = Field(
        WEBHOOK_SECRET_HEADER,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description=f"Name of the header that holds the token: the connection's API key name. "
        f"Default: {WEBHOOK_SECRET_HEADER}.",
    )


class EventBridgeSource(TokenSource):
    """Takes the events of an EventBridge API destination."""

    Options: ClassVar[type[BaseModel]] = EventBridgeOptions

    def __init__(self, name: str, options: EventBridgeOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._header = options.header.lower()

    def _shown(self, request: Pushed) -> list[str]:
        return [request.headers.get(self._header, "")]

    def _notices(self, request: Pushed) -> Notices:
        return parse_eventbridge(request.body, self._clock.now())
