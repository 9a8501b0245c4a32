"""Messages of buckets → what they say of objects. Pure: bytes in, `Notices` out; sources do the I/O.

One module for each sender's shape. A notification is a hint: what it leaves open is asked of the bucket later. So an
observation without etag and version id means "look at the object", and one that is `gone` without a sequencer is
looked up too before anything is retired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncd.domain.model import ObjectRef, Observation

EXCERPT = 4096
"""How much of a bad event is kept for a person, bytes."""


@dataclass(frozen=True, slots=True)
class BadEvent:
    """An event that can never be acted upon, kept for a person to look at.

    `reason` is one of few words, also a metric's label: `invalid_key`, `malformed`, `unsupported_version`,
    `too_large`, `abandoned` (a queue handed it out again and again). `detail` is one line saying what to do;
    `excerpt` the event, cut at EXCERPT bytes.
    """

    reason: str
    detail: str
    excerpt: bytes = b""


@dataclass(frozen=True, slots=True)
class Notices:
    """What one message spoke of, in its order.

    `ignored`: events that are none of an object that came, changed or went (tests, tags, ACLs, other services'), by a
    name out of a bounded set, for counting. `rescan`: it also spoke of objects without naming them (a directory that
    was renamed or deleted), so that the source has to ask for a reconcile.
    """

    seen: Sequence[tuple[ObjectRef, Observation]] = ()
    bad: Sequence[BadEvent] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    rescan: bool = False
