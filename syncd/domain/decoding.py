"""JSON from outside → values, or Rejected: one strict rule for every webhook and notification.

Called by `events` and by `notifications`. The rule: UTF-8 without a byte order mark, RFC 8259 to the letter, nested at
most MAX_DEPTH deep. So NaN, infinities, numbers too large for a double, lone surrogates, control characters inside of
strings and trailing text are refused. Of a name that stands twice in one object the last value counts. Integers beyond
64 bits become floats, which no reader of ours takes for an integer. Bytes are limited by the receiver; here it is the
room their values would take, for `[[],[],[]…` takes thirty times its bytes.
"""

from typing import Any

import orjson

from syncd.domain.errors import Rejected

MAX_DEPTH = 64

MOST_ROOM = 48 * 2**20
"""Bytes that the values of one body may take in memory, as estimated: 10,000 records of S3 stay below."""

_SMALL = 256 * 1024
_NESTING = frozenset({dict, list})
_ROOM = {b",": 40, b'"': 16, b":": 35, b"[": 88, b"{": 140}
"""Bytes that CPython takes, at most, for what each of these marks: a number, half a text, a name, a list, an object."""


def decoded(body: bytes | str, sender: str) -> Any:
    """The JSON value of a body. `sender` is named in the message of Rejected, for whoever has to find the mistake."""
    raw = body.encode() if isinstance(body, str) else body
    if len(raw) > _SMALL and sum(raw.count(mark) * room for mark, room in _ROOM.items()) > MOST_ROOM:
        raise Rejected(f"the body holds more values than {sender} sends at once")
    try:
        value = orjson.loads(raw)  # has a recursion limit of its own
    except orjson.JSONDecodeError:
        raise Rejected(f"the body is not JSON; is it {sender} that sends here?") from None
    if not _is_flat(value):
        raise Rejected(f"the body is nested deeper than {MAX_DEPTH}; {sender} sends no such thing")
    return value


def _is_flat(value: Any) -> bool:
    """Whether it is nested at most MAX_DEPTH deep; level by level, for hostile bodies hold millions of things."""
    level = [value] if type(value) in _NESTING else []
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for outer in level:
            for inner in outer.values() if type(outer) is dict else outer:
                if type(inner) in _NESTING:
                    below.append(inner)  # noqa: PERF401 - a nested comprehension takes twice as long
        if not below:
            return True
        level = below
    return False


def decoded_object(body: bytes | str, sender: str) -> dict[str, Any]:
    """The same, where nothing but a JSON object can be meant."""
    value = decoded(body, sender)
    if not isinstance(value, dict):
        raise Rejected(f"the body is no JSON object; is it {sender} that sends here?")
    return value
