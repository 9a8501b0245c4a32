"""Values that all the words are made of."""

import hashlib
from typing import Any

JsonObject = dict[str, Any]


def digest(text: str) -> str:
    """The sha256 of a text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()
