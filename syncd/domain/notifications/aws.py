"""What an SQS queue of bucket events holds: S3's records, EventBridge's events, either of them in SNS's envelope.

Called by the SQS source. The three are told apart by their members, so one queue may carry all of them.
"""

from typing import Any

from syncd.domain.decoding import decoded_object
from syncd.domain.notifications import Notices
from syncd.domain.notifications.eventbridge import is_event, parse_event
from syncd.domain.notifications.s3 import parse_records
from syncd.domain.notifications.sns import NOTIFICATION, envelope_of

_SENDER = "S3, SNS or EventBridge"


def parse_aws(body: bytes, now: float) -> Notices:
    """What a message speaks of. Rejected: it is no bucket notification, wrapped or not."""
    message = decoded_object(body, _SENDER)
    envelope = envelope_of(message)
    if envelope is None:
        return _unwrapped(message, now)
    if envelope.type != NOTIFICATION:
        return Notices(ignored={"subscription": 1})
    return _unwrapped(decoded_object(envelope.message, _SENDER), now)


def _unwrapped(message: dict[str, Any], now: float) -> Notices:
    return parse_event(message, now) if is_event(message) else parse_records(message, now)
