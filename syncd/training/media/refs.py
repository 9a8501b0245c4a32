"""Which object a row's media is, and the errors that say it is no longer the one that was labelled.

Used by all of `media`. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.etags import bare_etag, same_etag
from syncd.domain.model import digest

MEDIA_COLUMNS = ("bucket", "key", "etag", "version_id")
"""The columns that say which object a row's media is."""

_NO_VERSION = "null"  # what S3 calls the version of an object in a bucket without versions: it can be overwritten


class MediaChanged(Rejected):
    """The object is not the one that was labelled: it has changed since, or is gone."""


class MediaGone(MediaChanged):
    """The object that was labelled is no longer in its bucket."""


@dataclass(frozen=True, slots=True)
class MediaRef:
    """An object as it was labelled. With neither etag nor version id (the row has none) any content is taken."""

    bucket: str
    key: str
    etag: str | None = None
    version_id: str | None = None

    @classmethod
    def of(cls, row: Any) -> Self:
        """The object of a row: anything with `.get` (a dict, a pandas Series). Rejected: the row names none."""
        found = cls.find(row)
        if found is None:
            hint = "its task was made by hand; look into the row's data"
            raise Rejected(f"annotation {row.get('annotation_id', '?')} has no object in a bucket: {hint}")
        return found

    @classmethod
    def find(cls, row: Any) -> Self | None:
        """The object of a row, None where it has none. Rejected: the row lacks a column that would say."""
        missing = [name for name in MEDIA_COLUMNS if name not in row]
        if missing:
            raise Rejected(f"the row has no {', '.join(missing)}: for media, read the columns {_listed(MEDIA_COLUMNS)}")
        bucket, key, etag, version_id = (_text(row.get(name)) for name in MEDIA_COLUMNS)
        if not bucket or not key:
            return None
        return cls(bucket, key, etag, None if version_id == _NO_VERSION else version_id)

    @property
    def uri(self) -> str:
        """The object's URI as in the row, its key not encoded."""
        return f"{self.bucket}/{self.key}"

    @property
    def pinned(self) -> bool:
        """Whether it is known which content was labelled."""
        return bool(self.etag or self.version_id)

    @property
    def name(self) -> str:
        """A file name that only this content has: a sha256 (hex) and the key's suffix."""
        suffix = PurePosixPath(self.key).suffix[:10]
        etag = bare_etag(self.etag or "")
        identity = digest(orjson.dumps([self.bucket, self.key, self.version_id, etag]).decode())
        return identity + (suffix if suffix[1:].isascii() and suffix[1:].isalnum() else "")

    def check(self, etag: str | None, version_id: str | None = None) -> None:
        """MediaChanged unless what is there now is what was labelled: the same version, else the same etag."""
        same_version = self.version_id is not None and self.version_id == version_id
        if self.pinned and not same_version and not (self.etag and same_etag(self.etag, etag or "")):
            raise self.changed(etag or "none")

    def changed(self, now: str) -> MediaChanged:
        """The error for an object that has another etag now."""
        hint = "put the labelled one back, or leave the row out until the new one is labelled"
        was = f"etag {bare_etag(self.etag or 'unknown')} then, {bare_etag(now)} now"
        return MediaChanged(f"{self.uri} has changed since it was labelled ({was}): {hint}")

    def gone(self, why: str = "") -> MediaGone:
        """The error for an object that is not there."""
        what = f"version {self.version_id} of {self.uri}" if self.version_id else self.uri
        was = f"etag {bare_etag(self.etag or 'unknown')} then{why}"
        return MediaGone(f"{what} is gone since it was labelled ({was}): put it back, or leave the row out")


def _text(value: object) -> str | None:
    """The text; None for what stands for no text in pandas, too."""
    return value if isinstance(value, str) and value else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
