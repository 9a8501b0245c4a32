"""Values that all the words are made of."""

import hashlib
import json
from typing import Any

JsonObject = dict[str, Any]


def digest(text: str) -> str:
    """The sha256 of a text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_json(value: object) -> str:
    """The same text for the same JSON value, whatever the order of its members."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
