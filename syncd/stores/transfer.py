"""Objects by obstore: quick, and right for every key that its paths keep as they are (`is_plain`)."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore

from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.domain.etags import bare_etag
from syncd.stores.answers import EXPIRED, Absent, Denied, Facts, Unclear

TIMEOUTS = {"connect_timeout": "10s", "timeout": "300s", "read_timeout": "30s"}
NO_RETRIES: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=0)}
"""Repeating is ours alone."""

PIECE = 1 << 18
"""Bytes a streamed piece has at least, its last one excepted."""

_CHANGED = re.compile(r"^/|/$|//|(^|/)\.\.?(/|$)|[\x00-\x1f\x7f]")


_PASSING = frozenset({408, 409, 425, 429})
"""Refusals that may be another's doing at the moment."""


def is_plain(key: str) -> bool:
    """Whether object_store's paths keep this key byte for byte.

    Measured with obstore 0.12.1: a slash at either end is dropped in silence; empty parts, `.`, `..` and ASCII control
    characters are refused.
    """
    return bool(key) and not _CHANGED.search(key)


class _Beyond(SyncdError):
    """The range begins behind the object's end."""


class Transfer:
    """Implements `answers.Objects` over one obstore store. Reads only: obstore removes in bulk, which not all
    servers know, and asks a metadata server before it writes to Google even without credentials.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def head(self, key: str) -> Facts:
        """As the protocol says."""
        with _errors(key):
            return _facts(await obstore.head_async(self._store, key))

    async def stream(
        self, key: str, start: int, end: int | None, check: Callable[[Facts], None] = lambda _: None
    ) -> AsyncIterator[bytes]:
        """As the protocol says."""
        options: Any = None
        if start or end is not None:
            options = {"range": {"offset": start} if end is None else (start, end)}
        with suppress(_Beyond), _errors(key):
            found = await obstore.get_async(self._store, key, options=options)
            check(_facts(found.meta))
            async for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)


def _facts(found: "obstore.ObjectMeta") -> Facts:
    return Facts(_bare(found["e_tag"]), found["size"], _version(found["version"]))


def _bare(etag: str | None) -> str | None:
    return bare_etag(etag) if etag else None


def _version(version: str | None) -> str | None:
    return version if version and version != "null" else None


@contextmanager
def _errors(key: str) -> Iterator[None]:
    try:
        yield
    except SyncdError:
        raise
    except (FileNotFoundError, NotFoundError):
        raise Absent(f"{key!r} is not there") from None
    except (PermissionError, PermissionDeniedError, UnauthenticatedError) as error:
        if "InvalidObjectState" in str(error):
            raise Rejected(f"{key!r} is archived; restore it, or leave it out by the source's exclude") from None
        raise Denied(_code(error)) from None
    except (BaseError, OSError) as error:
        status = _status(error)
        code = _code(error)
        if status == 416 or "Wanted range starting at" in str(error):
            raise _Beyond from None
        if code in EXPIRED or status in {401, 403}:
            raise Denied(code) from None
        if status == 400 and not code:
            raise Unclear(f"{key!r} was refused (HTTP 400)") from None
        if 400 <= status < 500 and status not in _PASSING:
            raise Rejected(f"{key!r} was refused (HTTP {status} {code})") from None
        raise Retryable(f"{key!r}: {summary(error)}", effect_possible=status != 429) from None


def _status(error: BaseException) -> int:
    """The server's status; 0 where none was told."""
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else 0


def _code(error: BaseException) -> str:
    found = re.search(r"<Code>(\w{1,60})</Code>", str(error))
    return found[1] if found else ""


def summary(error: BaseException) -> str:
    """An error's first words, without the server's body, a URL's query and a library's source positions."""
    words = re.split(r"[\n<{?]|, /", str(error), maxsplit=1)[0]
    return words.strip(" -:,")[:200] or type(error).__name__
