"""Rows of manifests: what names one, when it is another, and which object it links to. Pure.

Used by the store that shows a manifest's rows as objects, and by the flow that makes tasks of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from syncd.domain.errors import Rejected
from syncd.domain.layout import base_bucket
from syncd.domain.model import ObjectRef, canonical_json, digest

MOST_ID_BYTES = 256
_CLOUDS = frozenset({"s3", "gs", "az"})


def row_version(row: Mapping[str, Any]) -> str:
    """What tells two versions of a row apart."""
    return digest(canonical_json(row))[:32]


def row_id(row: Mapping[str, Any], column: str | None) -> str:
    """What names a row in its manifest: the value of a column, or a hash of all of it. Rejected: there is none."""
    if column is None:
        return row_version(row)
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Rejected(f"its column {column!r} holds no id: a text or a whole number names a row")
    if len(str(value).encode()) > MOST_ID_BYTES:
        raise Rejected(f"its id in column {column!r} has more than {MOST_ID_BYTES} bytes")
    return str(value)


def linked_object(value: object, bucket: str, known: Sequence[str]) -> ObjectRef | None:
    """The object that a row links to: by its URL, or by its key in the manifest's bucket. None: no link to an object.

    `bucket`: that of the row or of its manifest; `known`: the dataset's buckets. Other URLs are none of ours: they stay
    as they are. Rejected: a key that would lead out of a folder, or a URL without a key.
    """
    if not isinstance(value, str) or not value:
        return None
    owner = next((one for one in sorted(known, key=len, reverse=True) if value.startswith(f"{one}/")), None)
    if owner is not None:
        return _inside(ObjectRef(owner, value[len(owner) + 1 :]))
    scheme, separator, rest = value.partition("://")
    if separator and scheme in _CLOUDS:
        name, _, key = rest.partition("/")
        if not name or not key:
            raise Rejected(f"the row links to {value!r}, which names no object")
        return ObjectRef(f"{scheme}://{name}", key)
    if separator or value.startswith(("/", "data:")):
        return None
    return _inside(ObjectRef(base_bucket(bucket), value))


def _inside(ref: ObjectRef) -> ObjectRef:
    if ref.bucket.startswith("file://") and {"", ".", ".."} & set(ref.key.split("/")):
        raise Rejected(f"the row links to {ref.key!r}, which is no key of a file below {ref.bucket}")
    return ref
