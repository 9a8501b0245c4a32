"""Other people's uploaders, which tell syncd themselves: where to, and with which proof."""

import json

from syncd.service.connect.plan import Recipe, Text
from syncd.service.connect.quoting import Raw, shell
from syncd.service.connect.target import Target

_TOKEN = Raw('"Authorization: Bearer ${SYNCD_TOKEN:?the token that the source reads}"')


def http(target: Target, prefix: str, suffix: str) -> Recipe:
    """Our own `POST /events/NAME`."""
    event = {"type": "created", "key": f"{prefix}cat{suffix or '.jpg'}"}
    body = json.dumps({"bucket": target.name, "events": [event]})
    notes = ["signed requests (Standard Webhooks) are better than a bearer token: see the OpenAPI description"]
    return Recipe([Text("After each upload", "sh", _curl(target, "application/json", body))], notes)


def cloudevents(target: Target, prefix: str, suffix: str) -> Recipe:
    """CloudEvents 1.0 over HTTP."""
    return Recipe(
        [], [f"have the sender POST CloudEvents 1.0 to {target.endpoint}, with the source's token as bearer token"]
    )


def _curl(target: Target, kind: str, body: str) -> str:
    head = ["curl", "--fail", target.endpoint]
    return shell(head, ("--header", _TOKEN), ("--header", f"Content-Type: {kind}"), ("--data-binary", body))
