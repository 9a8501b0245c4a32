"""Lists of what files are: their sizes and sha256, one list a table version; and what files are now.

Called by `checksums`, which writes the lists, `verify`, and `table` when it opens a version. Blocking; knows no table.
A list is `<dataset>/checksums/<table version>.json`, sealed (`sealed`); paths in it are below the dataset's folder.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import starmap

from syncd.snapshots.location import Root
from syncd.snapshots.sealed import unsealed

READERS = 16
TABLE = "rows.lance"
_NUMBER = re.compile(r"/(\d{8,})\.json$")


@dataclass(frozen=True, slots=True)
class Sum:
    """What a file is: its size in bytes and its sha256, hex."""

    size: int
    sha256: str


Sums = Mapping[str, Sum]
"""By path below the dataset's folder (`rows.lance/data/….lance`)."""


def listed(root: Root, dataset: str, table_version: int) -> Sums | None:
    """The list of a table version; None where it is not there, or not as it was written."""
    return parsed(root.read(list_path(dataset, table_version)) or b"")


def lists(root: Root, dataset: str, after: int = 0) -> list[int]:
    """The table versions from `after` on that have a list, in order."""
    offset = list_path(dataset, after - 1) if after > 1 else None
    paths = root.paths(f"{dataset}/checksums", after=offset)
    return [int(match[1]) for path in paths if (match := _NUMBER.search(path))]


def list_path(dataset: str, table_version: int) -> str:
    """Where a list is, below the root."""
    return f"{dataset}/checksums/{table_version:08}.json"


def manifest_of(sums: Sums) -> str | None:
    """The path of the table version's manifest; None where the list has none."""
    return next((path for path in sums if path.startswith(f"{TABLE}/_versions/")), None)


def manifest_is_sound(root: Root, dataset: str, table_version: int) -> bool:
    """Whether the manifest is as it was written; also where that cannot be told, or it is not there."""
    sums = listed(root, dataset, table_version) or {}
    path = manifest_of(sums)
    return path is None or sum_of(root, dataset, path) in {None, sums[path]}


def sums_of(root: Root, dataset: str, paths: Iterable[str]) -> dict[str, Sum | None]:
    """What files are now, many at once and none of them whole in memory; None for one that is not there."""
    wanted = list(paths)
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(wanted, pool.map(lambda path: sum_of(root, dataset, path), wanted), strict=True))


def sum_of(root: Root, dataset: str, path: str) -> Sum | None:
    """What one file is now, None where it is not there. Retryable: it cannot be read."""
    found = root.digest(f"{dataset}/{path}")
    return None if found is None else Sum(*found)


def parsed(data: bytes) -> Sums | None:
    """What a list says; None where it is not as it was written."""
    match unsealed(data):
        case {"files": dict(files)}:
            return dict(zip(files, starmap(Sum, files.values()), strict=True))
    return None
