"""Croissant metadata of a version as it lies in its Lance table, unpublished. Called by `Snapshot.croissant`.

It says what there is, where, and by which checksums; no reader of Croissant reads Lance. For records to be read by it,
export the version as `parquet`.
"""

import hashlib
from typing import TYPE_CHECKING

from syncd.domain.model import JsonObject, VersionInfo
from syncd.snapshots.location import Root
from syncd.snapshots.sums import listed
from syncd.training.describe.about import About, DataFile
from syncd.training.describe.croissant import LANCE, Files, croissant

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot


def described(snapshot: "Snapshot", root: Root, about: About) -> JsonObject:
    """The metadata as a JSON object."""
    config = snapshot.label_config
    labels = config.labels if config else ()
    files = Files(_files(root, snapshot.info), LANCE)
    return croissant(snapshot.info, snapshot.schema, files, about, labels)


def _files(root: Root, info: VersionInfo) -> list[DataFile]:
    """The table's files, as they were written down with the version; else the file that names the version."""
    base = f"{root.url}/{info.dataset}"
    if sums := listed(root, info.dataset, info.table_version):
        return [DataFile(f"{base}/{path}", found.size, found.sha256) for path, found in sorted(sums.items())]
    name = f"versions/{info.number:08}.json"
    data = root.read(f"{info.dataset}/{name}") or b""
    return [DataFile(f"{base}/{name}", len(data), hashlib.sha256(data).hexdigest())]
