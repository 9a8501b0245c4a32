"""JSON from outside → values, or an error: one strict rule for every webhook, notification and document of a bucket.

Called by `events` and `notifications`, and by whoever reads JSON that others wrote into a bucket. The rule: UTF-8
without a byte order mark, RFC 8259 to the letter, nested at most MAX_DEPTH deep. So NaN, infinities, numbers too large
for a double, lone surrogates, control characters inside of strings and trailing text are refused. Of a name that
stands twice in one object the last value counts. Integers beyond 64 bits become floats, which no reader of ours takes
for an integer. Bytes are limited by the receiver; here it is the room their values would take, for `[[],[],[]…` takes
thirty times its bytes.
"""

from typing import Any

import orjson

from syncd.domain.errors import Rejected

MAX_DEPTH = 64

MOST_ROOM = 45 * 2**20
"""Bytes that the values of one body may take in memory, as estimated: 10,000 records of S3 stay below."""

_SMALL = 256 * 1024
_NESTING = frozenset({dict, list})
_ROOM = {b",": 40, b'"': 16, b"[": 88, b"{": 200}
"""Bytes that CPython takes, at most, for what each of these marks: a number, half a text, a list, a small object."""
_LARGER = 35
"""Besides, for each member of an object beyond its eighth."""


class NotJsonError(ValueError):
    """What is no JSON by the rule. The message says what and where in one line, and holds nothing of the text."""


def strict_json(text: bytes | str) -> Any:
    """The JSON value of a text. NotJsonError: it is none."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > _SMALL and _room(raw) > MOST_ROOM:
        raise NotJsonError("it holds too many values")
    try:
        value = orjson.loads(raw)  # has a recursion limit of its own
    except orjson.JSONDecodeError as error:
        raise NotJsonError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and not _is_flat(value):
        raise NotJsonError(f"it is nested more than {MAX_DEPTH} levels deep")
    return value


def decoded(body: bytes | str, sender: str) -> Any:
    """The same of a body. `sender` is named in the message of Rejected, for whoever has to find the mistake."""
    try:
        return strict_json(body)
    except NotJsonError as error:
        raise Rejected(f"the body is not JSON ({error}); is it {sender} that sends here?") from None


def decoded_object(body: bytes | str, sender: str) -> dict[str, Any]:
    """The same, where nothing but a JSON object can be meant."""
    value = decoded(body, sender)
    if not isinstance(value, dict):
        raise Rejected(f"the body is no JSON object; is it {sender} that sends here?")
    return value


def _room(raw: bytes) -> int:
    """At most so many bytes its values take: what they are, and their text, which is wider where it is not ASCII."""
    texts = len(raw) * (1 if raw.isascii() else 4)
    members = max(0, raw.count(b":") - 8 * raw.count(b"{"))
    return texts + members * _LARGER + sum(raw.count(mark) * room for mark, room in _ROOM.items())


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
