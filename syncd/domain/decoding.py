"""JSON from outside → values, or Rejected: one strict rule for every webhook and notification.

Called by `events` and by `notifications`. The rule: UTF-8 without a byte order mark, RFC 8259 to the letter, nested at
most MAX_DEPTH deep. So NaN, infinities, numbers too large for a double, lone surrogates, control characters inside of
strings and trailing text are refused. Of a name that stands twice in one object the last value counts. Integers beyond
64 bits become floats, which no reader of ours takes for an integer. Size is not limited here: the receiver limits it.
"""

from typing import Any

import orjson

from syncd.domain.errors import Rejected

MAX_DEPTH = 64

_NESTING = frozenset({dict, list})


def decoded(body: bytes | str, sender: str) -> Any:
    """The JSON value of a body. `sender` is named in the message of Rejected, for whoever has to find the mistake."""
    raw = body.encode() if isinstance(body, str) else body
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
