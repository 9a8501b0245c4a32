"""What Lance's own tag files must look like, so that `verify` finds a flipped bit in one.

Called by `verify`. Lance 14 writes `_refs/tags/<tag>.json` as indented JSON with these fields in this order. The tag
`vN` is set once and never moved (`garbage` removes a wrong one before it sets it anew), so its two times are equal.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from syncd.snapshots.location import Root
from syncd.snapshots.sums import TABLE

_FIELDS = ["branch", "version", "createdAt", "updatedAt", "manifestSize", "metadata"]


@dataclass(frozen=True, slots=True)
class LanceTag:
    """A tag file of the right form. `moved`: it was not always where it points; `manifest_size` in bytes."""

    table_version: int
    manifest_size: int
    moved: bool


def lance_tag_path(dataset: str, tag: str) -> str:
    """Where Lance keeps a tag, below the root."""
    return f"{dataset}/{TABLE}/_refs/tags/{tag}.json"


def lance_tag(root: Root, dataset: str, tag: str) -> LanceTag | None:
    """A tag as it stands; None where it is not there, or has not that form to the byte."""
    data = root.read(lance_tag_path(dataset, tag)) or b""
    try:
        record = json.loads(data)
        if json.dumps(record, indent=2).encode() != data or list(record) != _FIELDS:
            return None
        times = [datetime.fromisoformat(record[name]) for name in ("createdAt", "updatedAt")]
    except (ValueError, TypeError):
        return None
    if record["branch"] is not None or record["metadata"] != {} or times[0] > times[1]:
        return None
    moved = record["createdAt"] != record["updatedAt"]
    return LanceTag(int(record["version"]), int(record["manifestSize"]), moved)
