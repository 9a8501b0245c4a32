"""Media in a bucket of S3, Google Cloud Storage or Azure, over obstore and through the local cache.

Used by `buckets`. The labelled version is asked for by its version id, else by its etag (If-Match), and the answer is
compared once more: some servers ignore the condition. One GET is one version of an object, so what changes while it
is read cannot mix.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import ObjectStore

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.domain.etags import bare_etag
from syncd.snapshots.location import ABSENT, open_root, storage_errors
from syncd.training.media.cache import MediaCache
from syncd.training.media.refs import MediaRef

VENDORS = {"s3": "aws_", "gs": "google_", "az": "azure_"}
_CHUNK = 8 * 1024 * 1024
_EVICTED = 3  # how often a file may leave the cache between its name being given and its opening
_ODD = frozenset({"", ".", ".."})


class Cloud:
    """One bucket by its URL. `options`: those of other vendors are passed over."""

    def __init__(self, url: str, options: Mapping[str, str], cache: MediaCache) -> None:
        self._url = url
        self._cache = cache
        ours = VENDORS[urlsplit(url).scheme]
        others = tuple(prefix for prefix in VENDORS.values() if prefix != ours)
        self._options = {name: value for name, value in options.items() if not name.startswith(others)}

    @cached_property
    def _store(self) -> ObjectStore:
        try:
            return open_root(self._url, self._options).objects
        except ConfigError as error:
            found = error.problems[0].found
            raise ConfigError([Problem("media_options", found, "options by their object_store names")]) from error

    def open(self, ref: MediaRef) -> BinaryIO:
        """The cached copy, opened."""
        for _ in range(_EVICTED):
            try:
                return self.path(ref).open("rb")
            except FileNotFoundError:  # another process has made room in between
                continue
        raise Retryable(f"{ref.uri}: the media cache is too small for all who use it at once; give it a larger limit")

    def path(self, ref: MediaRef) -> Path:
        """The cached copy, fetched where it is not there."""
        if not ref.pinned:
            ref = replace(ref, etag=self._head(ref)["e_tag"])
        return self._cache.get(ref.name, lambda: self._chunks(ref))

    def size(self, ref: MediaRef) -> int:
        """Bytes; of what is not in the cache the bucket is asked."""
        cached = self._cache.find(ref.name) if ref.pinned else None
        return cached.stat().st_size if cached else int(self._head(ref)["size"])

    def _chunks(self, ref: MediaRef) -> Iterator[bytes]:
        result, left = self._get(ref), 0
        with storage_errors(f"reading {ref.uri}"):
            left = result.meta["size"]
            for chunk in result.stream(min_chunk_size=_CHUNK):
                left -= len(chunk)
                yield bytes(chunk)
        if left:
            raise Retryable(f"reading {ref.uri}: the answer ended {left} bytes early")

    def _head(self, ref: MediaRef) -> Any:
        return self._get(ref, head=True).meta

    def _get(self, ref: MediaRef, *, head: bool = False) -> Any:
        if not _ODD.isdisjoint(ref.key.split("/")):
            raise _unreadable(ref)
        with storage_errors(f"reading {ref.uri}"):
            try:
                wanted: Any = {**_wanted(ref), "head": head}
                result = obstore.get(self._store, ref.key, options=wanted)
            except ABSENT:
                raise ref.gone() from None
            except PreconditionError:
                raise ref.changed(self._etag_now(ref)) from None
            except ValueError:  # a key obstore does not take, such as one with a line break
                raise _unreadable(ref) from None
            except (PermissionDeniedError, UnauthenticatedError, PermissionError):
                hint = "give open_snapshot media_options that may read the bucket"
                raise Rejected(f"{ref.uri} may not be read: {hint}") from None
        ref.check(result.meta["e_tag"], result.meta["version"])
        return result

    def _etag_now(self, ref: MediaRef) -> str:
        try:
            return obstore.head(self._store, ref.key)["e_tag"] or "none"
        except ABSENT:
            raise ref.gone() from None


def _unreadable(ref: MediaRef) -> Rejected:
    hint = "empty parts, `.`, `..` and line breaks in keys are not supported; copy it to a plain key"
    return Rejected(f"{ref.uri!r} cannot be read: {hint}")


def _wanted(ref: MediaRef) -> dict[str, str]:
    """The condition under which a GET brings what was labelled, and nothing else."""
    if ref.version_id:
        return {"version": ref.version_id}
    return {"if_match": f'"{bare_etag(ref.etag)}"'} if ref.etag else {}
