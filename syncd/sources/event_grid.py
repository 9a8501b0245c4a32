"""Azure Blob Storage's events, pushed by Event Grid: the source of type `event-grid`.

Event Grid signs nothing: it shows a secret, in the URL's query or in a header (a delivery property), with its
handshakes as well. Both are answered, and nothing they name is ever fetched. It drops a batch for good on 400, 401,
403 and 413; so whatever may be our own fault is 503, and events of other buckets and accounts are passed over with
a 2xx, for they come in one batch with ours.
https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema
"""

import re
from functools import partial
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, Field

from syncd.domain.decoding import decoded
from syncd.domain.notifications.azure import parse_event_grid
from syncd.ports import Clock, Deliver, Pushed, Reply, Stores
from syncd.sources.pushed import JSON, REFUSED, PushedSource, TokenOptions, Tokens, beside

VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
ORIGIN = "eventgrid.azure.net"
_CODE = re.compile(r"[0-9A-Za-z-]{1,128}")
_NOT_OURS = Reply(403, b"This is not the sender that is configured.")
_MAY = {"WebHook-Allowed-Origin": ORIGIN, "WebHook-Allowed-Rate": "*"}


class EventGridOptions(TokenOptions):
    """The options of a source of type `event-grid`."""

    token_in: str = Field(
        "query:code",
        pattern=r"^(query:[A-Za-z0-9_.-]+|header:[A-Za-z0-9-]+)$",
        description="Where Event Grid shows the token: query:NAME of the URL (?NAME=TOKEN), or header:NAME, as it "
        "stands (a delivery property). Default: query:code.",
    )
    account: str | None = Field(
        None,
        pattern=r"^[a-z0-9]{3,24}$",
        description="The only storage account that may subscribe and whose events count. Default: any with a token.",
    )


class EventGridSource(PushedSource):
    """Takes what Event Grid posts, in its own schema or as CloudEvents."""

    Options: ClassVar[type[BaseModel]] = EventGridOptions
    methods = frozenset({"POST", "HEAD", "OPTIONS"})
    content_types: ClassVar[frozenset[str]] = JSON | {
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    }

    def __init__(self, name: str, options: EventGridOptions, *, stores: Stores, clock: Clock) -> None:
        super().__init__(name, options, stores=stores, clock=clock)
        self._place, _, self._parameter = options.token_in.partition(":")
        self._account = options.account
        self._tokens = Tokens(options.tokens, f"sources.{name}.tokens")

    async def check(self) -> None:
        """As the port says."""
        self._tokens.check()

    def _probed(self, request: Pushed) -> Reply:
        """OPTIONS asks whether it may send here (HTTP 1.1 Web Hooks for Event Delivery, 4)."""
        if request.method != "OPTIONS":
            return Reply(200)
        if not self._tokens.opened_by(self._shown(request)):
            return REFUSED
        if request.headers.get("webhook-request-origin", "").lower() != ORIGIN:
            return _NOT_OURS
        return Reply(200, headers=_MAY)

    async def _read(self, request: Pushed, deliver: Deliver) -> Reply:
        if not self._tokens.opened_by(self._shown(request)):
            return REFUSED
        if asked := _validation(request.body):
            return self._validated(asked)
        parse = partial(parse_event_grid, request.body, self._clock.now(), account=self._account)
        await self._deliver(await beside(request, parse), deliver)
        return Reply()

    def _shown(self, request: Pushed) -> list[str]:
        in_query = self._place == "query"
        shown = request.query.get(self._parameter) if in_query else request.headers.get(self._parameter.lower())
        return [] if shown is None else [shown]

    def _validated(self, event: dict[str, Any]) -> Reply:
        """The code comes back; its `validationUrl` is for people and is not looked at."""
        code = event["data"].get("validationCode")
        of_another = self._account is not None and not _is_of(event, self._account)
        if of_another or not isinstance(code, str) or not _CODE.fullmatch(code):
            return _NOT_OURS
        # 202 would not do, and a 204 has no body
        return Reply(200, orjson.dumps({"validationResponse": code}), {"Content-Type": "application/json"})


def _validation(body: bytes) -> dict[str, Any] | None:
    """The event by which Event Grid asks whether we want to be sent to; it comes alone."""
    if VALIDATION.encode() not in body:
        return None
    events = decoded(body, "Event Grid")
    event = events[0] if isinstance(events, list) and len(events) == 1 else None
    is_one = isinstance(event, dict) and event.get("eventType") == VALIDATION and isinstance(event.get("data"), dict)
    return event if is_one else None


def _is_of(event: dict[str, Any], account: str) -> bool:
    """Whether the resource subscribed to is that storage account; its name is unique in all of Azure."""
    return str(event.get("topic")).lower().rstrip("/").endswith(f"/microsoft.storage/storageaccounts/{account}")
