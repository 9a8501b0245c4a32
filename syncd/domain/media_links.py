"""Links by which people see objects through syncd itself, where the annotator cannot reach the bucket. Pure.

A link in task data is a capability: it cannot be guessed, names one object of one dataset, and works as long as that
object has a task. It leads to a timed link, which works for some minutes: only that one reaches caches, histories and
other people's logs of what was fetched.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from syncd.domain.model import ObjectRef

ROUTE = "/media"
_SIGNED = 24
"""Bytes of a signature that a link carries: 192 bits of HMAC-SHA256."""


@dataclass(frozen=True, slots=True)
class MediaLinks:
    """Makes and reads links. `base`: the receiver's URL as browsers reach it, without a slash at its end."""

    base: str
    secret: bytes

    def link(self, dataset: str, ref: ObjectRef) -> str:
        """The link that task data holds; its last part is the object's name, for players that go by it."""
        name = quote(ref.key.rsplit("/", 1)[-1], safe="")
        shown = "object" if name in {"", ".", ".."} else name  # browsers would walk these
        return f"{self.base}{ROUTE}/{dataset}/{self._token(dataset, ref)}/{shown}"

    def read(self, dataset: str, token: str) -> ObjectRef | None:
        """The object of a link; None where we did not make it."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            ref = ObjectRef.from_id(raw[_SIGNED:].decode())
        except (binascii.Error, ValueError):
            return None
        return ref if hmac.compare_digest(token.encode(), self._token(dataset, ref).encode()) else None

    def timed(self, dataset: str, ref: ObjectRef, until: int) -> dict[str, str]:
        """The query of a timed link, valid until a time in unix seconds."""
        return {"until": str(until), "signature": _text(self._sign("timed", dataset, ref.id, str(until)))}

    def is_timed(self, dataset: str, ref: ObjectRef, query: Mapping[str, str], now: float) -> bool:
        """Whether a query is one that `timed` made for this object, and its time has not come."""
        until = query.get("until", "")
        if not (until.isascii() and until.isdecimal() and len(until) <= 12 and now < int(until)):
            return False
        wanted = self.timed(dataset, ref, int(until))["signature"]
        return hmac.compare_digest(query.get("signature", "").encode(), wanted.encode())

    def _token(self, dataset: str, ref: ObjectRef) -> str:
        return _text(self._sign("object", dataset, ref.id) + ref.id.encode())

    def _sign(self, *parts: str) -> bytes:
        return hmac.digest(self.secret, "\n".join(map(repr, parts)).encode(), "sha256")[:_SIGNED]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
