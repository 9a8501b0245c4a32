"""Small JSON objects that carry their own checksum, so that a single flipped bit in one shows.

Called by `names` (version names, the hint), `ledger` and `checksums`. Pure. The seal is the field `sha256`, the last
one, over the text without it; the text itself is canonical, so two bytes that mean the same JSON are no way around it.
Fields that a newer program added are sealed with the rest, and kept.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from syncd.domain.decoding import NotJsonError, strict_json

SEAL = "sha256"


def sealed(record: Mapping[str, Any]) -> bytes:
    """The JSON text of a record with its seal. Equal records (in order of fields too) give equal bytes."""
    return _json({**record, SEAL: hashlib.sha256(_json(record)).hexdigest()})


def unsealed(data: bytes) -> dict[str, Any] | None:
    """The record without its seal; None unless these are, byte for byte, what `sealed` made of it."""
    try:
        record = strict_json(data)
    except NotJsonError:
        return None
    if not isinstance(record, dict) or SEAL not in record:
        return None
    body = {name: value for name, value in record.items() if name != SEAL}
    return body if sealed(body) == data else None


def _json(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_INDENT_2)
