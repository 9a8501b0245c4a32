"""Ceph RGW's bucket notifications to an HTTP endpoint: the source of type `ceph`.

Ceph signs nothing. Its token is the topic's `OpaqueData`, which every record repeats, or the password of a push
endpoint such as `https://user:password@host/…` (which Ceph takes only when the topic is made over TLS). Only topics
with `persistent=true` are sent again after a failure; of others what is lost is found by reconcile. Of a space in
`OpaqueData` Ceph 16 makes a plus sign; `check` refuses tokens that hold one.
"""

import base64
import binascii

from syncd.domain.decoding import decoded_object
from syncd.domain.model import JsonObject
from syncd.domain.notifications import Notices
from syncd.domain.notifications.s3 import parse_records
from syncd.ports import Pushed
from syncd.sources.pushed import TokenSource

_LARGEST = 1024 * 1024
"""Bytes of a body that is read to find its token in it: Ceph posts one record at a time."""


class CephSource(TokenSource):
    """Takes the events of a Ceph topic."""

    def _shown(self, request: Pushed) -> list[str]:
        """The password where one is shown, else what the records hold."""
        if "authorization" in request.headers:
            return _password(request.headers["authorization"])
        if len(request.body) > _LARGEST:
            return []
        return [str(record.get("opaqueData", "")) for record in _records(decoded_object(request.body, "Ceph RGW"))]

    def _notices(self, request: Pushed) -> Notices:
        """Without the token, and without the headers of other people's requests: bad events are kept for a person."""
        message = decoded_object(request.body, "Ceph RGW")
        for record in _records(message):
            record.pop("opaqueData", None)
            if isinstance(record.get("s3"), dict) and isinstance(record["s3"].get("object"), dict):
                record["s3"]["object"].pop("metadata", None)
        return parse_records(message, self._clock.now())


def _records(message: JsonObject) -> list[JsonObject]:
    records = message.get("Records")
    return [record for record in records if isinstance(record, dict)] if isinstance(records, list) else []


def _password(header: str) -> list[str]:
    """The password of Basic credentials (RFC 7617), as a list of at most one."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        user_and_password = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return []
    return [user_and_password.partition(":")[2]]
