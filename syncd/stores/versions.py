"""Whether what is read is of the version that was asked for. Used by the stores; pure."""

from syncd.domain.errors import Conflict, Rejected
from syncd.domain.model import Versioned
from syncd.domain.planning import same_bytes


def require_version(key: str, there: Versioned, of: Versioned | None) -> None:
    """Conflict where what is there says that it is another version. What says nothing of itself is believed."""
    if of is None or _is_silent(of) or _is_silent(there):
        return
    if not same_bytes(there, of):
        raise Conflict(f"{key!r} is another version now than the one that was asked for; it is looked at again")


def gone(key: str, bucket: str, of: Versioned | None = None) -> Conflict | Rejected:
    """What is raised for an object that is not there: the version that was asked for may have been there just now."""
    if of is not None:
        return Conflict(f"{key!r} is gone from {bucket} meanwhile; it is looked at again")
    return Rejected(f"{key!r} is gone from {bucket}")


def _is_silent(one: Versioned) -> bool:
    return one.etag is None and one.version_id is None
