"""What the files of a table version were when it was written: their sizes and sha256, so that `verify` finds a flip.

Called by `commit` before a version is named, by `store` after a compaction, and by `verify`. Takes a `Table`;
blocking. Lance itself keeps no checksums: a flipped bit in a data file may come out as other rows, or end the process.

One object a table version, `<dataset>/checksums/<table version>.json`, create-only and sealed (`sealed`): the list of
every file that version needs, which is its manifest, its transaction, and the data, deletion and index files. A list
takes over what the nearest older one says and reads only the files that came since: cost follows the change.
"""

from dataclasses import astuple

from syncd.domain.errors import Retryable
from syncd.snapshots.location import Root
from syncd.snapshots.sealed import sealed
from syncd.snapshots.sums import TABLE, Sum, Sums, list_path, listed, lists, parsed, sums_of
from syncd.snapshots.table import Table, lance_errors


def record(root: Root, table: Table, base: int = 0) -> None:
    """Write down what the files of this table version are; nothing where that is done.

    `base`: a table version whose list is likely there (that of the newest name), from which listing starts. Retryable:
    the store did not answer, or a file of the version is not there.
    """
    path = list_path(table.dataset, table.version)
    there = root.read(path)
    if there is not None and parsed(there) is not None:
        return
    data = sealed({"table_version": table.version, "files": _record(_measured(root, table, base))})
    if not root.create(path, data) and parsed(root.read(path) or b"") is None:
        root.overwrite(path, data)  # power was lost while it was written: nothing names it yet


def _measured(root: Root, table: Table, base: int) -> dict[str, Sum]:
    needed = _needed(table)
    known = _nearest(root, table, base)
    measured = sums_of(root, table.dataset, [path for path in needed if path not in known])
    sums = {path: measured.get(path) or known.get(path) for path in needed}
    if missing := [path for path, found in sums.items() if found is None]:
        raise Retryable(f"{root.url}/{table.dataset}/{missing[0]} is not there, although it was just written")
    return {path: found for path, found in sums.items() if found}


def _needed(table: Table) -> list[str]:
    """The files that this table version needs, as Lance says."""
    with lance_errors(f"reading the snapshots of {table.dataset!r}"):
        files = table.lance.tracked_files(min_version=table.version).read_all().select(["version", "path"]).to_pylist()
    return sorted(f"{TABLE}/{file['path']}" for file in files if file["version"] == table.version)


def _nearest(root: Root, table: Table, base: int) -> Sums:
    """The nearest older list that is as it was written."""
    older = [number for number in lists(root, table.dataset, base) if number < table.version]
    sums = (listed(root, table.dataset, number) for number in reversed(older))
    return next((found for found in sums if found is not None), {})


def _record(sums: Sums) -> dict[str, tuple[int, str]]:
    return {path: astuple(sums[path]) for path in sorted(sums)}
