"""The versions of a dataset beside one another: which of them hold an object, and what changed since one.

Called by `syncd lineage` and by `snapshot`. Blocking. Cost follows the change: of an object's history the table is
searched once, at the newest version; of every older one only the rows that changed after it are read, by row id.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncd.domain.diff import Diff
from syncd.domain.errors import Rejected
from syncd.domain.model import VersionInfo
from syncd.snapshots.diff import diff
from syncd.snapshots.location import Root
from syncd.snapshots.names import Names
from syncd.snapshots.sql import is_in, quoted
from syncd.snapshots.table import Table, lance_errors, open_version

_TOUCHED = "_row_last_updated_at_version"
_SHOWN = ("annotation_id", "task_id", "status", "labels", "annotator", "bucket", "key", "etag", "version_id", "digest")
_MANY = 10_000
_States = dict[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Holding:
    """One annotation of an object as it stood, unchanged, in the versions `first` to `last` (those that are left)."""

    annotation_id: str
    task_id: str
    status: str
    labels: tuple[str, ...]
    annotator: str | None
    bucket: str | None
    key: str
    etag: str | None
    version_id: str | None
    first: int
    last: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed from one version to another: rows, and the keys of the objects they are about, sorted."""

    before: VersionInfo
    after: VersionInfo
    diff: Diff
    objects: dict[str, tuple[str, ...]] = field(default_factory=dict)


def holdings(root: Root, names: Names, key: str, bucket: str | None = None) -> list[Holding]:
    """Which versions hold an object, and as what, by annotation and version; empty where none that is left does.

    An annotation never changes its object: a row that another key is written to is looked for under the newest one.
    """
    versions = names.all()
    if not versions:
        raise Rejected(f"dataset {names.dataset!r} has no versions yet")
    where = f"key = {quoted(key)}" + (f" AND bucket = {quoted(bucket)}" if bucket else "")
    walk = _Walk(open_version(root, versions[-1]), where)
    tags = names.tags()
    stretches = _stretches(walk.back(versions))
    found = [_holding(record, first, last, tags) for record, first, last in stretches]
    return sorted(found, key=lambda one: (len(one.annotation_id), one.annotation_id, one.first))


def changes(root: Root, before: VersionInfo, after: VersionInfo) -> Changes:
    """What changed from one version to another."""
    old, new = open_version(root, before), open_version(root, after)
    found = diff(old, new)
    objects = {
        "inserted": _keys(new, found.inserted),
        "updated": tuple(sorted({one.key for one in found.updated if one.key})),
        "deleted": _keys(old, found.deleted),
    }
    return Changes(before, after, found, objects)


def _keys(table: Table, ids: Sequence[str]) -> tuple[str, ...]:
    found = _by_literals(table, "annotation_id", map(quoted, ids), ["key"])
    return tuple(sorted({record["key"] for record in found if record["key"]}))


def _by_literals(
    table: Table, column: str, literals: Iterable[str], columns: Sequence[str], where: str = "true"
) -> Iterator[dict[str, Any]]:
    """Records of the rows whose column is among SQL literals, a few thousand at a time."""
    wanted = list(literals)
    for start in range(0, len(wanted), _MANY):
        condition = f"{is_in(column, wanted[start : start + _MANY])} AND ({where})"
        yield from _records(table, columns, condition)


def _records(table: Table, columns: Sequence[str], where: str) -> Iterator[dict[str, Any]]:
    with lance_errors(f"reading the snapshots of {table.dataset!r}"):
        found = table.lance.to_table(columns=list(columns), filter=where, with_row_id=True)
    yield from found.to_pylist()


@dataclass(slots=True)
class _Walk:
    """From the newest version back. `where`: what all rows wanted have in common."""

    newest: Table
    where: str

    def back(self, versions: Sequence[VersionInfo]) -> Iterator[tuple[int, _States]]:
        """Version number and its rows wanted, by row id, newest version first."""
        rows = self._read(self.newest, None)
        yield versions[-1].number, rows
        for older, newer in zip(versions[-2::-1], versions[:0:-1], strict=True):
            rows = self._before(rows, older, newer)
            yield older.number, rows

    def _before(self, rows: _States, older: VersionInfo, newer: VersionInfo) -> _States:
        """The rows one version earlier: those nothing touched since, and what the others were then."""
        touched = {id_ for id_, row in rows.items() if row[_TOUCHED] > older.table_version}
        gone = self._deleted(older, newer)
        if not touched and not gone:
            return rows
        then = self._read(self.newest.at(older.table_version), sorted(touched | gone))
        return {id_: row for id_, row in rows.items() if id_ not in touched} | then

    def _deleted(self, older: VersionInfo, newer: VersionInfo) -> set[int]:
        """Row ids that the newer of two versions has no more; of versions between that are gone, all are asked."""
        if newer.number == older.number + 1 and not newer.deleted:
            return set()
        with lance_errors(f"comparing snapshots of {self.newest.dataset!r}"):
            delta = self.newest.lance.delta(begin_version=older.table_version, end_version=newer.table_version)
            return set(delta.get_deleted_row_ids().read_all()["_rowid"].to_pylist())

    def _read(self, table: Table, row_ids: Sequence[int] | None) -> _States:
        columns = [*_SHOWN, _TOUCHED]
        if row_ids is None:
            found = _records(table, columns, self.where)
        else:
            found = _by_literals(table, "_rowid", map(str, row_ids), columns, self.where)
        return {record["_rowid"]: record for record in found}


def _stretches(states: Iterable[tuple[int, _States]]) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Each row with the first and last version of every stretch in which it stood the same."""
    running: dict[str, tuple[dict[str, Any], int, int]] = {}
    for number, rows in states:
        there = {row["annotation_id"]: row for row in rows.values()}
        for id_ in [id_ for id_, (row, _, _) in running.items() if there.get(id_, {}).get("digest") != row["digest"]]:
            yield running.pop(id_)
        for id_, row in there.items():
            last = running[id_][2] if id_ in running else number
            running[id_] = (row, number, last)
    yield from running.values()


def _holding(record: dict[str, Any], first: int, last: int, tags: dict[str, int]) -> Holding:
    shown = {name: record[name] for name in _SHOWN if name != "digest"}
    named = tuple(sorted(tag for tag, number in tags.items() if first <= number <= last))
    return Holding(**{**shown, "labels": tuple(record["labels"])}, first=first, last=last, tags=named)
