"""Signatures of Standard Webhooks: made by the trigger `webhook`, checked by the source `http`. Pure.

https://github.com/standard-webhooks/standard-webhooks (spec/standard-webhooks.md): HMAC-SHA256 over
`id.timestamp.body`, on the bytes as they are sent, with a key of 24 to 64 bytes; several signatures in one header
while a key is being replaced; a timestamp that differs by more than five minutes is refused.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
SECRET_HINT = f"{PREFIX} and the base64 of 24 to 64 random bytes: printf {PREFIX}; openssl rand -base64 32"
TOLERANCE_S = 300
_KEY_BYTES = range(24, 65)
_MOST_SIGNATURES = 16
_LONGEST_ID = 256


@lru_cache(maxsize=16)
def signing_key(secret: str) -> bytes:
    """The key in a secret such as `whsec_…`; the prefix and the padding may be missing. ValueError says what is wrong.

    The message never holds the secret. It is asked for at every request, so some are remembered.
    """
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("holds no base64") from None
    if len(key) not in _KEY_BYTES:
        raise ValueError(f"holds {len(key)} bytes")
    return key


def sign(id_: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers: one signature for each key, in the order of the keys. `timestamp` in unix seconds."""
    codes = (base64.b64encode(_code(id_.encode(), str(timestamp).encode(), body, key)).decode() for key in keys)
    return {ID: id_, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(f"v1,{code}" for code in codes)}


def is_signed(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float) -> bool:
    """Whether one of the keys signed this body within five minutes of `now` (unix seconds).

    `headers` by lower-case names. Constant time in what is secret; nothing a sender writes can raise.
    """
    id_, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not (0 < len(id_) <= _LONGEST_ID and _is_fresh(timestamp, now)):
        return False
    wanted = [_code(id_.encode("utf-8", "surrogateescape"), timestamp.encode(), body, key) for key in keys]
    shown = _shown(headers.get(SIGNATURE, ""))
    return sum(hmac.compare_digest(one, code) for one in shown for code in wanted) > 0  # a sum: all are compared


def _is_fresh(timestamp: str, now: float) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(now - int(timestamp)) <= TOLERANCE_S


def _shown(header: str) -> list[bytes]:
    """The signatures of version 1; others are for other receivers."""
    codes: list[bytes] = []
    for part in header.split(" ")[:_MOST_SIGNATURES]:
        version, _, text = part.partition(",")
        if version == "v1":
            try:
                codes.append(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
    return codes


def _code(id_: bytes, timestamp: bytes, body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b".".join((id_, timestamp, body)), hashlib.sha256)
