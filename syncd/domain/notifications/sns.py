"""The envelope SNS puts around a message, and the text that its signature is over.

Called by `aws` (envelopes in queues) and by the SNS webhook, which checks signature, certificate and topic. Nothing
here fetches anything: the URLs are text until the caller has held them to its rules.
Source: docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html and
sns-verify-signature-of-message-verify-message-signature.html.
"""

from dataclasses import dataclass
from typing import Any

from syncd.domain.decoding import decoded

NOTIFICATION = "Notification"
SUBSCRIBE = "SubscriptionConfirmation"
UNSUBSCRIBE = "UnsubscribeConfirmation"

_REQUIRED = {
    "type": "Type",
    "message_id": "MessageId",
    "topic_arn": "TopicArn",
    "message": "Message",
    "timestamp": "Timestamp",
}
_OPTIONAL = {
    "signature_version": ("SignatureVersion",),
    "signature": ("Signature",),
    "signing_cert_url": ("SigningCertURL", "SigningCertUrl"),  # the second is how Lambda spells them
    "subscribe_url": ("SubscribeURL", "SubscribeUrl"),
    "token": ("Token",),
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message of SNS. What was not sent, or is no text, is empty; a `subject` that was not sent is None.

    `type`: NOTIFICATION, SUBSCRIBE or UNSUBSCRIBE. `signature` is base64; `timestamp` ISO 8601 as sent.
    """

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature_version: str = ""
    signature: str = ""
    signing_cert_url: str = ""
    subject: str | None = None
    token: str = ""
    subscribe_url: str = ""


def unwrap_sns(body: bytes) -> Envelope | None:
    """The envelope in a body; None: there is other JSON in it, such as a message delivered raw. Rejected: no JSON."""
    return envelope_of(decoded(body, "SNS"))


def envelope_of(message: Any) -> Envelope | None:
    """The same, of a message decoded already."""
    if not isinstance(message, dict) or message.get("Type") not in (NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE):
        return None
    required = {field: value for field, name in _REQUIRED.items() if isinstance(value := message.get(name), str)}
    if len(required) < len(_REQUIRED):
        return None
    optional = {field: _first_text(message, names) for field, names in _OPTIONAL.items()}
    subject = message.get("Subject")
    return Envelope(**required, **optional, subject=subject if isinstance(subject, str) else None)


def signed_text(envelope: Envelope) -> bytes:
    """What is signed, by SHA-1 in signature version 1 and by SHA-256 in version 2: names and values, a line each."""
    pairs = {
        "Message": envelope.message,
        "MessageId": envelope.message_id,
        "Subject": envelope.subject,
        "SubscribeURL": envelope.subscribe_url,
        "Timestamp": envelope.timestamp,
        "Token": envelope.token,
        "TopicArn": envelope.topic_arn,
        "Type": envelope.type,
    }
    left_out = {"SubscribeURL", "Token"} if envelope.type == NOTIFICATION else {"Subject"}
    lines = (f"{name}\n{value}\n" for name, value in pairs.items() if name not in left_out and value is not None)
    return "".join(lines).encode()


def _first_text(message: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := message.get(name), str)), "")
