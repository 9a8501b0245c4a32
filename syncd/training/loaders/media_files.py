"""Rows' media for libraries that open paths with fsspec: addresses that say which object, as it was labelled.

Imported by `loaders.huggingface` once fsspec is known to be there. An address holds bucket, etag, version id and key,
each percent-encoded (an `e` before the etag, a `v` before the version id: fsspec drops empty parts). It holds no
credentials: it is opened with the options of the snapshot that was last read in this
process, in other processes with those of the environment.
"""

from typing import Any
from urllib.parse import quote, unquote

import fsspec  # type: ignore[import-untyped]

from syncd.domain.errors import Rejected
from syncd.training.media import Buckets, Media, MediaRef

PROTOCOL = "syncd-media"
_serving = {"buckets": Buckets()}


def address(ref: MediaRef) -> str:
    """The address of an object."""
    parts = (ref.bucket, f"e{ref.etag or ''}", f"v{ref.version_id or ''}", ref.key)
    return f"{PROTOCOL}://{'/'.join(quote(part, safe='') for part in parts)}"


def ref_of(path: str) -> MediaRef:
    """The inverse of `address`, with or without the protocol. Rejected: it is none."""
    match [unquote(part) for part in path.removeprefix(f"{PROTOCOL}://").split("/")]:
        case [bucket, etag, version_id, key] if etag[:1] == "e" and version_id[:1] == "v":
            return MediaRef(bucket, key, etag[1:] or None, version_id[1:] or None)
    raise Rejected(f"{path!r} is no address of media: {PROTOCOL}://BUCKET/eETAG/vVERSION/KEY, percent-encoded")


def serve(buckets: Buckets) -> None:
    """Open addresses with these buckets from now on."""
    _serving["buckets"] = buckets
    fsspec.register_implementation(PROTOCOL, MediaFiles, clobber=True)


class MediaFiles(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Objects by their addresses, read only."""

    protocol = PROTOCOL

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if mode != "rb":
            raise Rejected(f"media are read only: {path}")
        return self._media(path).open()

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name and size (bytes), as fsspec wants them."""
        return {"name": path, "size": self._media(path).size, "type": "file"}

    @staticmethod
    def _media(path: str) -> Media:
        return Media(ref_of(path), _serving["buckets"])
