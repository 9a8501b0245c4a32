"""Changes samples: a member of their JSON at a time, or their bytes. Pure, by a seed; used by atheris and by tests."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 1.5, -0.0, 1e308, "", " ",
    "x", "0", "-1", "1e400", "null", "\0", "%", "%ff", "%00", "+", "/", "..", "a/", "\n", "\r\n", "\x1b[2J", "\ufeff",
    "\u2028", "\U0001f98a", "\ud7ff", "é" * 520, "y" * 1100, "9" * 400, "s3://photos", "file:///etc/passwd", "$root",
    [], [[]], {}, {"": {}}, {"a": [{"b": None}]}, [0] * 50,
)  # fmt: skip
"""Values where others are expected."""
_DEEPEST = 12
_WORDS = (b"null", b"true", b"\\u0000", b"\\ud800", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\0", b"\xff",
          b"\xc0\x80", b"\xed\xa0\x80", b"1e999", b"-", b"%2F", b"\n", b"\r\n", b"\xef\xbb\xbf")  # fmt: skip


def changed(sample: bytes, chance: Random, most: int = 1 << 16) -> bytes:
    """The sample with one to four changes, at most so many bytes."""
    for _ in range(chance.randint(1, 4)):
        sample = _json_changed(sample, chance) if chance.random() < 0.75 else _bytes_changed(sample, chance)
    return sample[:most]


def _json_changed(sample: bytes, chance: Random) -> bytes:
    """A member replaced, taken out, doubled, moved or wrapped; of a text that holds JSON perhaps inside of that."""
    head, body = _split(sample)
    try:
        value = json.loads(body)
        return head + json.dumps(_value_changed(value, chance), ensure_ascii=chance.random() < 0.5).encode()
    except (ValueError, RecursionError):
        return _bytes_changed(sample, chance)


def _split(sample: bytes) -> tuple[bytes, bytes]:
    """The lines of a head, where there is one, and the body below."""
    head, blank, body = sample.partition(b"\n\n")
    return (head + blank, body) if blank else (b"", sample)


def _value_changed(value: Any, chance: Random, depth: int = 0) -> Any:
    if isinstance(value, dict | list) and value and depth < _DEEPEST and chance.random() < 0.9:
        return _member_changed(value, chance, depth)
    if isinstance(value, str) and value[:1] in {"{", "["} and chance.random() < 0.7:
        return _json_changed(value.encode("utf-8", "surrogatepass"), chance).decode("utf-8", "replace")
    return chance.choice(_REPLACEMENTS)(value, chance)


def _member_changed(value: Any, chance: Random, depth: int) -> Any:
    key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    copy = value.copy()
    match chance.randrange(12):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, dict):
            copy[str(chance.choice(ODD))] = copy[key]
        case 1:
            copy *= chance.randint(2, 20)
        case 2:
            other = chance.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
            copy[key], copy[other] = copy[other], copy[key]
        case _:
            copy[key] = _value_changed(copy[key], chance, depth + 1)
    return copy


def _text_changed(value: Any, chance: Random) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    at = chance.randrange(len(text) + 1)
    return text[:at] + str(chance.choice(ODD)) + text[at + chance.randrange(3) :]


def _nudged(value: Any, chance: Random) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value + chance.choice((-1, 1, 2**32, -(2**32)))
    return str(value) if chance.random() < 0.5 else [value]


_REPLACEMENTS: tuple[Callable[[Any, Random], Any], ...] = (
    lambda _, chance: chance.choice(ODD),
    lambda value, _: {"value": value},
    _text_changed,
    _nudged,
)


def _bytes_changed(sample: bytes, chance: Random) -> bytes:
    data = bytearray(sample)
    at = chance.randrange(len(data) + 1)
    match chance.randrange(5):
        case 0 if data:
            data[min(at, len(data) - 1)] = chance.randrange(256)
        case 1:
            data[at:at] = chance.choice(_WORDS)
        case 2:
            del data[at : at + chance.randint(1, 8)]
        case 3:
            other = chance.randrange(len(data) + 1)
            data[at:at] = data[min(at, other) : max(at, other)][:64]
        case _:
            data[at:at] = chance.randbytes(chance.randint(1, 4))
    return bytes(data)
