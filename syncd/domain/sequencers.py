"""The order of a sender's events on one key, as text that can be compared.

A sequencer is `SENDER:VALUE`. Values are comparable under one name only: two services that tell of one bucket (S3's
own records and EventBridge's, or an uploader of one's own) count in ways of their own. `domain.notifications` makes
them, `planning.newer` compares them. The rule for values is S3's: right-pad the shorter with zeros, compare as text
(docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html); what comes from senders with
another rule is brought into that form first.
"""

import re

_HEX = re.compile(r"[0-9A-Fa-f]{1,64}")
_WORD = re.compile(r"[0-9A-Za-z]{1,64}")
_MOST = 2**63 - 1


def order(one: str, other: str) -> int | None:
    """Below, at or above zero as `one` is earlier than, the same as, or later than `other`; None: not comparable."""
    name, _, left = one.rpartition(":")
    other_name, _, right = other.rpartition(":")
    if name != other_name:
        return None
    width = max(len(left), len(right))
    left, right = left.ljust(width, "0"), right.ljust(width, "0")
    return (left > right) - (left < right)


def hexadecimal(sender: str, value: object) -> str | None:
    """A sequencer of hexadecimal text, as S3, MinIO and Azure send it in either case; None for anything else."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        return None
    return f"{sender}:{value.upper()}"


def ceph(value: object) -> str | None:
    """Ceph's: 4 bytes of seconds and 4 of nanoseconds, each little-endian, in hexadecimal; turned to big-endian."""
    if not isinstance(value, str) or len(value) != 16 or not _HEX.fullmatch(value):
        return None
    raw = bytes.fromhex(value)
    return f"ceph:{(raw[3::-1] + raw[:3:-1]).hex().upper()}"


def generation(value: object, *, gone: bool) -> str | None:
    """Cloud Storage's generation. Its end comes after its beginning, and before the next one's, which is larger.

    The metageneration has no part in it: only changes of content are looked at, and each has a generation of its own.
    """
    number = int(value) if isinstance(value, str) and _is_number(value) else value
    if type(number) is not int or not 0 < number <= _MOST:
        return None
    return f"gcs:{number:020d}{int(gone)}"


def plain(value: object) -> str | None:
    """An uploader's own: a whole number, or text of letters and digits that is compared as text."""
    if type(value) is int and 0 <= value <= _MOST:
        return f"plain:{value:020d}"
    return f"plain:{value}" if isinstance(value, str) and _WORD.fullmatch(value) else None


def _is_number(text: str) -> bool:
    return len(text) < 20 and text.isascii() and text.isdecimal()
