"""What a bucket's server may answer, the same words for obstore and for our own requests. Used within `stores` only."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from syncd.domain.errors import Rejected, SyncdError
from syncd.ports import Entry


class Absent(SyncdError):
    """There is no such object; whether there is such a bucket is another question."""


class Denied(SyncdError):
    """The credentials were refused, or may not do this."""


class Unclear(Rejected):
    """Refused without a word, as a HEAD is, for which Amazon also says so when credentials have expired."""


EXPIRED = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestExpired", "InvalidAccessKeyId"})
"""Amazon's words, with status 400, for credentials that were good once."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a look at one object brings."""

    etag: str | None
    size: int
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing. `more`: the token of the next one, empty at the end."""

    entries: Sequence[Entry]
    more: str = ""


class Objects(Protocol):
    """How the objects of one bucket are read by one transport. All raise Absent, Denied, Retryable, and Rejected."""

    async def head(self, key: str) -> Facts:
        """What is there."""
        ...

    def stream(
        self, key: str, start: int, end: int | None, check: Callable[[Facts], None] = lambda _: None
    ) -> AsyncIterator[bytes]:
        """Its bytes from `start` to before `end`. `check` is told of what they are before the first; it may raise."""
        ...
