"""Removing table versions, with the files only they need; and how many bytes that would free.

Called by `garbage`. Takes a `Table`; blocking. A table version is spared while it is younger than `retention.SPARE_S`,
for the sake of writers that stand still in the middle of a commit: Lance makes a table version by creating the next
number, so one that wakes up where a number was cleared away would commit to a place nobody looks at (lance issue 3718).
`commit` does its part: a merge that took half of that is not believed but made again.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from syncd.snapshots.location import Root
from syncd.snapshots.table import Table, lance_errors


def remove(table: Table, versions: Sequence[int], spare: float) -> int:
    """Remove those of the table versions that are older than `spare` seconds; returns the bytes that came free."""
    if not versions:
        return 0
    with lance_errors(f"removing old versions of {table.dataset!r}"):
        age = timedelta(seconds=spare)
        # Lance skips what carries a tag of its own
        stats = table.lance.cleanup_old_versions(age, versions=list(versions), error_if_tagged_old_versions=False)
    return int(stats.bytes_removed)


def estimate(root: Root, table: Table, versions: Sequence[int], spare: float) -> int:
    """The bytes that `remove` would free: those of the files that only these table versions need."""
    going = set(versions) & _older(table, spare)
    if not going:
        return 0
    with lance_errors(f"reading old versions of {table.dataset!r}"):
        needed = _files(table, set(table.history()) - going)
        freed = _files(table, going) - needed | {name for version in going for name in _own_files(table, version)}
    base = f"{table.dataset}/rows.lance/"
    return sum(size for path, size in root.sizes(base.removesuffix("/")).items() if path.removeprefix(base) in freed)


def _older(table: Table, spare: float) -> set[int]:
    with lance_errors(f"reading old versions of {table.dataset!r}"):
        until = datetime.now(UTC) - timedelta(seconds=spare)
        return {entry["version"] for entry in table.lance.versions() if entry["timestamp"].astimezone(UTC) <= until}


def _files(table: Table, versions: Iterable[int]) -> set[str]:
    """The data and deletion files that any of the table versions needs."""
    found: set[str] = set()
    for version in versions:
        for fragment in table.at(version).lance.get_fragments():
            found.update(f"data/{file.path}" for file in fragment.metadata.files)
            found.add(fragment.deletion_file() or "")
    return found


def _own_files(table: Table, version: int) -> tuple[str, str]:
    """A table version's manifest and transaction, named as Lance names them (manifest naming scheme V2)."""
    made = table.lance.read_transaction(version)
    return f"_versions/{2**64 - 1 - version}.manifest", f"_transactions/{made.read_version}-{made.uuid}.txn"
