"""CloudEvents over HTTP, of whoever sends them: the source of type `cloudevents`.

Binary, structured and batched mode (https://github.com/cloudevents/spec, HTTP protocol binding), told apart by the
content type. Senders show a bearer token. Those that ask first whether they may send (OPTIONS with
WebHook-Request-Origin: HTTP 1.1 Web Hooks for Event Delivery, 4) are told that they may: asking proves nothing, the
token does.
"""

from typing import ClassVar

from syncd.domain.notifications import Notices
from syncd.domain.notifications.cloudevents import parse_cloudevents
from syncd.ports import Pushed, Reply
from syncd.sources.pushed import TokenSource

_ASKS = "webhook-request-origin"
_MAY = {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}


class CloudEventsSource(TokenSource):
    """Takes CloudEvents that speak of objects."""

    methods = frozenset({"POST", "HEAD", "OPTIONS"})
    content_types: ClassVar[frozenset[str]] = frozenset()  # in binary mode it is that of the data

    def _probed(self, request: Pushed) -> Reply:
        asks = request.method == "OPTIONS" and _ASKS in request.headers
        return Reply(200, headers=_MAY if asks else {})

    def _notices(self, request: Pushed) -> Notices:
        return parse_cloudevents(request.headers, request.body, self._clock.now(), self._urls)
