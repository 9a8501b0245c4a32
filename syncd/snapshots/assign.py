"""Which split the objects of a commit belong to, as the table knows it.

Called by `commit`, before the merge. Blocking. The rules of `domain.splits` decide; this module finds out what they
have to know. While a dataset's rules are the ones it began with, and it is not stratified, that is nothing: the hash
gives every object the split it was given before, whoever asks, also one whose rows were all deleted in between. So
the rules are kept beside the table, each that ever came into force as an object `<dataset>/splits/00000001.json`,
and only where there are several, or splits that came with their rows, are the rows read: one scan of two columns for
the objects, and one more for the groups of those that are new.

Two processes that commit at once agree wherever the hash decides. Where it does not (stratified, or changed rules),
an object whose first rows both commit at the same moment may get two splits; the next commit of it takes the one of
most rows. The leases of a shared state exclude it: one process at a time commits a dataset. Nor can the hash tell,
there, what split an object had whose rows were all deleted: when it comes back, it is assigned as a new one.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from syncd.domain.model import Row, StagedChange
from syncd.domain.splits import Known, Splits, assigned, settled, task
from syncd.snapshots.location import Root
from syncd.snapshots.sealed import sealed, unsealed
from syncd.snapshots.sql import is_in, quoted
from syncd.snapshots.table import Table, lance_errors

_MANY = 20_000  # values in one filter
_FEW_GROUPS = 100  # more are found sooner by reading all keys
_GIVEN = {"given": True}  # in the place of rules: splits came with their rows


def assign(root: Root, table: Table, changes: Sequence[StagedChange], splits: Splits | None) -> Sequence[StagedChange]:
    """The changes, each row with its split: the one it brings, or its object has, or a new one; None: as they are."""
    rows = [change.row for change in changes if change.row]
    if splits is None or not rows:
        return changes
    hashed = _InForce(root, table.dataset).are_enough(splits, rows)
    return assigned(changes, splits, Known() if hashed else _known(table, rows, splits))


def split_names(root: Root, dataset: str) -> set[str]:
    """The names of the splits that a dataset's rules ever gave."""
    rules = (unsealed(root.read(path) or b"") or {} for path in root.paths(f"{dataset}/splits"))
    return {name for rule in rules for name, _ in rule.get("shares", ())}


class _InForce:
    """The rules that the splits of a dataset were given by, oldest first."""

    def __init__(self, root: Root, dataset: str) -> None:
        self._root = root
        self._folder = f"{dataset}/splits"

    def are_enough(self, splits: Splits, rows: Sequence[Row]) -> bool:
        """Note the rules that come into force now; whether all splits are what they give by hash."""
        given = any(row.split and row.split != splits.hashed(splits.group_of_row(row)) for row in rows)
        first = self._noted(_record(splits))
        if given and first:
            self._noted(_GIVEN)
            return False
        return first and not splits.stratify

    def _noted(self, rules: dict[str, Any]) -> bool:
        """Whether these rules are the only ones, once they are noted. One that cannot be read is another."""
        paths = self._root.paths(self._folder)
        newest = unsealed(self._root.read(paths[-1]) or b"") if paths else None
        if newest == rules:
            return len(paths) == 1
        number = int(PurePosixPath(paths[-1]).stem) + 1 if paths else 1
        made = self._root.create(f"{self._folder}/{number:08}.json", sealed(rules))
        return not paths if made else self._noted(rules)


def _record(splits: Splits) -> dict[str, Any]:
    shares = [[name, share] for name, share in splits.shares.items()]
    return {"shares": shares, "group": splits.group, "stratify": splits.stratify}


def _known(table: Table, rows: Sequence[Row], splits: Splits) -> Known:
    with lance_errors(f"reading the splits of {table.dataset!r}"):
        objects = settled(_objects(table, rows))
        new = {splits.group_of(row.key) for row in rows if row.key is not None and row.key not in objects}
        groups = settled(_groups(table, new, splits)) if splits.group else objects
        labels, counts = _counts(table) if splits.stratify else ({}, {})
    return Known(objects, groups, labels, counts)


def _objects(table: Table, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The rows' objects that are in the table, with their split."""
    keys = {row.key for row in rows if row.key is not None}
    for some in _parts(keys):
        yield from _scan(table, "key", is_in("key", some))
    tasks = {row.task_id for row in rows if row.key is None}
    for some in _parts(tasks):
        found = _scan(table, "task_id", f"{is_in('task_id', some)} AND key IS NULL")
        yield from ((task(one), split) for one, split in found)


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    """The values as SQL literals, so many at a time as one filter takes."""
    literals = [quoted(value) for value in sorted(values)]
    return (literals[start : start + _MANY] for start in range(0, len(literals), _MANY))


def _groups(table: Table, groups: set[str], splits: Splits) -> Iterator[tuple[str, str]]:
    """The groups with the splits of their rows. A group is a part of its keys: a few of them find their rows so."""
    if not groups:
        return
    pattern = "|".join(map(re.escape, sorted(groups)))
    where = f"regexp_like(key, {quoted(pattern)})" if len(groups) <= _FEW_GROUPS else "key IS NOT NULL"
    for key, split in _scan(table, "key", where):
        if (group := splits.group_of(key)) in groups:
            yield group, split


def _scan(table: Table, column: str, where: str) -> Iterator[tuple[str, str]]:
    found = table.lance.to_table(columns=[column, "split"], filter=f"{where} AND split IS NOT NULL")
    return zip(found[column].to_pylist(), found["split"].to_pylist(), strict=True)


def _counts(table: Table) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """label → split → rows, and split → rows."""
    found = table.lance.to_table(columns=["labels", "split"]).combine_chunks()
    labels, split = (found[name].combine_chunks() for name in ("labels", "split"))
    used = pa.table({"label": labels.flatten(), "split": split.take(pc.list_parent_indices(labels))})
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for one in used.group_by(["label", "split"]).aggregate([([], "count_all")]).to_pylist():
        counts[one["label"]][one["split"]] = one["count_all"]
    return counts, {one["values"]: one["counts"] for one in split.value_counts().to_pylist()}
