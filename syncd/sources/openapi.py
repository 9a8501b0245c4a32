"""The OpenAPI description of our own protocol, `POST /events/{source}`; the receiver serves it at `/openapi.json`.

Built from the model that the parser itself validates with, so that the two cannot drift apart. It describes sources
of type `http`; the others speak their senders' protocols.
"""

from functools import cache
from importlib.metadata import version
from typing import Any

import orjson

from syncd.domain.notifications.plain import PlainEvents
from syncd.domain.standard_webhooks import ID, SIGNATURE, TIMESTAMP, TOLERANCE_S

EXAMPLES: dict[str, dict[str, Any]] = {
    "created": {
        "summary": "Two objects were written. Without a sequencer syncd looks at the object itself.",
        "value": {
            "bucket": "photos",
            "events": [
                {"type": "created", "key": "cats/1 été.jpg", "etag": "9e107d9d", "size": 20480, "sequencer": 1},
                {"type": "created", "key": "cats/2.jpg"},
            ],
        },
    },
    "deleted": {
        "summary": "An object was deleted, in a bucket named by its URL.",
        "value": {"bucket": "s3://photos", "events": [{"type": "deleted", "key": "cats/1 été.jpg", "sequencer": 2}]},
    },
}

_ANSWERS = {
    "204": "Taken, and durable. Events of buckets that the source does not list are dropped.",
    "400": "It can never be taken as it is; do not send it again.",
    "401": "Signature or token is missing or wrong, or the timestamp differs by more than five minutes.",
    "404": "No source listens here.",
    "413": "The body is larger than the receiver takes.",
    "415": "Neither application/json nor a content encoding the receiver decodes.",
}


@cache
def openapi_page() -> bytes:
    """The document, as JSON."""
    return orjson.dumps(_document())


def _document() -> dict[str, Any]:
    schema = PlainEvents.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = {**schema.pop("$defs", {}), "PlainEvents": schema}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "syncd receiver",
            "version": version("syncd"),
            "description": "Tells syncd what happened to objects of a bucket. Events are hints: they may come late, "
            "twice and in any order.",
        },
        "paths": {"/events/{source}": {"post": _operation()}},
        "components": {"schemas": schemas, "securitySchemes": _schemes()},
    }


def _operation() -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/PlainEvents"}, "examples": EXAMPLES}
    return {
        "operationId": "postEvents",
        "summary": "Tell what happened to objects",
        "security": [{"signature": [], "timestamp": [], "id": []}, {"token": []}],
        "parameters": [
            {
                "name": "source",
                "in": "path",
                "required": True,
                "description": "The name of a source of type `http` in the configuration.",
                "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,49}$"},
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {**{code: {"description": text} for code, text in _ANSWERS.items()}, "503": _later()},
    }


def _later() -> dict[str, Any]:
    """The answer when we are in trouble."""
    after = {"description": "Seconds until it is worth another try.", "schema": {"type": "integer", "minimum": 1}}
    return {"description": "Not taken: send it again, later.", "headers": {"Retry-After": after}}


def _schemes() -> dict[str, Any]:
    """Standard Webhooks is three headers together; OpenAPI has no word for that but three API keys."""
    signature = (
        "Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several, by a space apart."
    )
    return {
        "signature": {"type": "apiKey", "in": "header", "name": SIGNATURE, "description": signature},
        "timestamp": {
            "type": "apiKey",
            "in": "header",
            "name": TIMESTAMP,
            "description": f"Unix seconds; at most {TOLERANCE_S} from the receiver's clock.",
        },
        "id": {"type": "apiKey", "in": "header", "name": ID, "description": "Of the sender's choice, 1 to 256 chars."},
        "token": {"type": "http", "scheme": "bearer", "description": "Where the sender cannot sign."},
    }
