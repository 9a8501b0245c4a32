"""The Lance table of one dataset: merge changes, say what changed between two versions, count, read, tag.

Called by `store` and `reader`; the only module that names Lance. Blocking. A *table version* is Lance's own
number: maintenance takes numbers too, so the names of `names` point at them and are another count.

A merge is one Lance commit, upserts and deletes together (`merging`). What changed between two table versions is read
off Lance's row versions and stable row ids, three columns of the fragments that came in between: cost follows the
change, also over a compaction and a clean-up.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from syncd.domain.errors import Rejected, Retryable, SyncdError
from syncd.domain.model import Row, StagedChange, VersionInfo
from syncd.snapshots.change import Change
from syncd.snapshots.damage import MEND, is_damage
from syncd.snapshots.forks import refuse_in_fork
from syncd.snapshots.location import Root, summary
from syncd.snapshots.merging import FIRST, merge
from syncd.snapshots.schema import KEY, SCHEMA, to_rows
from syncd.snapshots.sql import MANY, is_in, quoted
from syncd.snapshots.sums import manifest_is_sound

_FACTS = [KEY, "digest", "status"]
_PAGE = 1_000
_ABSENT = re.compile(r"was not found|Version not found")
_EXISTS = re.compile(r"already exists")
_TROUBLE = re.compile(r"\(IO\)|IO error|External error|conflict|Timeout|timed out|concurrent|retry", re.IGNORECASE)


def library() -> Any:
    """Lance, loaded on first use: it takes a second, which commands that open no table are spared."""
    import lance  # noqa: PLC0415

    return lance


class Table:
    """One table at one version; `merge` moves it to the version it made."""

    def __init__(self, dataset: str, lance_dataset: Any) -> None:
        self.dataset = dataset
        self.lance = lance_dataset

    @classmethod
    def open(cls, root: Root, dataset: str, version: int | None = None) -> Self | None:
        """The table at a version (default: its newest), None where there is none."""
        lance = library()
        with lance_errors(f"opening the snapshots of {dataset!r}"):
            try:
                uri = root.table_uri(dataset)
                found = lance.dataset(uri, version=version, storage_options=dict(root.options))
            except ValueError as error:
                if _ABSENT.search(str(error)):
                    return None
                raise
        return cls(dataset, found)

    @classmethod
    def make(cls, root: Root, dataset: str) -> Self:
        """The table made empty, or the one another process made first.

        Without retries Lance makes version 1 or nothing. `lance.write_dataset` would repeat a lost race as an
        overwrite, on top of the rows that the winner has committed since.
        """
        lance = library()
        uri, options = root.table_uri(dataset), dict(root.options)
        empty = lance.LanceOperation.Overwrite(SCHEMA, [])
        with lance_errors(f"making the snapshots of {dataset!r}"):
            try:
                made = lance.LanceDataset.commit(
                    uri, empty, storage_options=options, enable_stable_row_ids=True, max_retries=0
                )
            except OSError:
                there = cls.open(root, dataset)
                if there is None:
                    raise
                return there
            return cls(dataset, made)

    @property
    def version(self) -> int:
        """Lance's number of the version this is."""
        return int(self.lance.version)

    def at(self, version: int) -> "Table":
        """The same table at another version, which must be there."""
        with lance_errors(f"opening the snapshots of {self.dataset!r}"):
            return Table(self.dataset, self.lance.checkout_version(version))

    # ------------------------------------------------------------ write

    def merge(self, changes: Sequence[StagedChange], check: "Callable[[Table], None]" = lambda _: None) -> bool:
        """Put in what the table does not hold yet, in one commit; False when it holds everything.

        `check` is called with the table as another commit left it which came first; this one ends with what it raises.
        """
        rows = {change.annotation_id: change.row for change in changes}
        with lance_errors(f"committing to the snapshots of {self.dataset!r}"):
            self.lance, merged = merge(self.lance, rows, lambda lance: check(Table(self.dataset, lance)))
        return merged

    def tagged(self, tag: str) -> int | None:
        """The table version a Lance tag points at."""
        with lance_errors(f"reading the tags of {self.dataset!r}"):
            try:
                return int(self.lance.tags.get_version(tag))
            except ValueError as error:
                if "Ref not found" in str(error):
                    return None
                raise

    def tag(self, tag: str, version: int) -> None:
        """Point a Lance tag at a table version."""
        with lance_errors(f"tagging the snapshots of {self.dataset!r}"):
            try:
                self.lance.tags.create(tag, version)
            except ValueError as error:
                if _ABSENT.search(str(error)):  # another process removed it in this moment
                    raise Retryable(f"table version {version} of {self.dataset!r} is not there to be tagged") from error
                if not _EXISTS.search(str(error)):
                    raise
                if self.tagged(tag) != version:
                    self.lance.tags.update(tag, version)

    def tags(self) -> dict[str, int]:
        """Lance tag → table version."""
        with lance_errors(f"reading the tags of {self.dataset!r}"):
            return {tag: int(found["version"]) for tag, found in self.lance.tags.list().items()}

    def untag(self, tag: str) -> None:
        """Take a Lance tag away, if it is there."""
        with lance_errors(f"tagging the snapshots of {self.dataset!r}"):
            try:
                self.lance.tags.delete(tag)
            except ValueError as error:
                if "Ref not found" not in str(error):
                    raise

    # ------------------------------------------------------------ read

    def history(self) -> list[int]:
        """All table versions that are there."""
        with lance_errors(f"listing the versions of {self.dataset!r}"):
            return [int(found["version"]) for found in self.lance.version_refs()]

    def merged_since(self, before: int) -> bool:
        """Whether rows came or went since an older table version (0: the empty table)."""
        return self.version > max(before, FIRST) and bool(self._merges(max(before, FIRST), self.version))

    def merges(self, after: int) -> list[int]:
        """The table versions between `after` and this one that brought or took rows: not those of maintenance."""
        return self._merges(after, self.version - 1) if after + 1 < self.version else []

    def _merges(self, after: int, last: int) -> list[int]:
        operations, between = library().LanceOperation, [v for v in self.history() if after < v <= last]
        with lance_errors(f"reading the history of {self.dataset!r}"):
            done = {version: self.lance.read_transaction(version).operation for version in between}
        return sorted(v for v, made in done.items() if isinstance(made, operations.Update | operations.Overwrite))

    def difference(self, other: "Table") -> "Change":
        """What happened from this version of the table to another, older or newer."""
        if self.version <= other.version:
            return other.changed(self.version)
        return self.changed(other.version).reversed()

    def changed(self, before: int) -> Change:
        """What happened since an older table version (0: the empty table)."""
        with lance_errors(f"comparing snapshots of {self.dataset!r}"):
            older = self.at(before) if before else None
            touched = self._touched(before, older)
            replaced = self._replaced(older, touched["_rowid"].to_pylist()) if older else []
        new, old = _by_key(touched), {id_: digest for part in replaced for id_, digest in _by_key(part).items()}
        grown = _statuses([touched])
        grown.subtract(_statuses(replaced))
        return Change(
            inserted=frozenset(new.keys() - old.keys()),
            updated=frozenset(id_ for id_, digest in new.items() if old.get(id_, digest) != digest),
            deleted=frozenset(old.keys() - new.keys()),
            by_status={status: count for status, count in grown.items() if count},
        )

    def _touched(self, before: int, older: "Table | None") -> Any:
        """Rows that came or changed since. Lance writes them to new fragments; also a compaction leaves old ones be."""
        known = older.fragments() if older else {}
        fresh = [fragment for files, fragment in self.fragments().items() if files not in known]
        where = f"_row_last_updated_at_version > {before}"
        if not fresh:
            return self.lance.scanner(columns=_FACTS, with_row_id=True, limit=0).to_table()
        return self.lance.scanner(columns=_FACTS, filter=where, with_row_id=True, fragments=fresh).to_table()

    def fragments(self) -> dict[tuple[str, ...], Any]:
        """Lance's fragments by the names of their data files, which are written once."""
        with lance_errors(f"reading the snapshots of {self.dataset!r}"):
            there = self.lance.get_fragments()
        return {tuple(file.path for file in fragment.metadata.files): fragment for fragment in there}

    def _replaced(self, older: "Table", row_ids: list[int]) -> list[Any]:
        """What the older version held of these rows, and of those that are deleted."""
        gone = self.lance.delta(begin_version=older.version, end_version=self.version).get_deleted_row_ids()
        ids = [str(row_id) for row_id in row_ids + gone.read_all()["_rowid"].to_pylist()]
        parts = [ids[start : start + MANY] for start in range(0, len(ids), MANY)]
        return [older.lance.to_table(columns=_FACTS, filter=is_in("_rowid", part)) for part in parts]

    def by_status(self) -> dict[str, int]:
        """Row counts by status."""
        return self.count("status")

    def labels(self) -> dict[str, int]:
        """How often each label is used in submitted rows."""
        return self.count("labels", "status = 'submitted'")

    def count(self, column: str, where: str | None = None) -> dict[str, int]:
        """How often each value of a text or list column is there, in rows of an SQL condition."""
        counts: Counter[str] = Counter()
        with lance_errors(f"counting the snapshots of {self.dataset!r}"):
            for batch in self.lance.to_batches(columns=[column], filter=where):
                values = batch.column(0).flatten() if column == "labels" else batch.column(0)
                counts.update({item["values"]: item["counts"] for item in values.value_counts().to_pylist()})
        return dict(sorted(counts.items()))

    def rows(self) -> list[Row]:
        """All rows in order of annotation id."""
        with lance_errors(f"reading the snapshots of {self.dataset!r}"):
            return sorted(to_rows(self._scan(SCHEMA.names).to_pylist()), key=lambda row: row.annotation_id)

    def pages(self) -> Iterator[list[Row]]:
        """All rows, some thousand at a time and in no order."""
        with lance_errors(f"reading the snapshots of {self.dataset!r}"):
            for batch in self.lance.to_batches(columns=SCHEMA.names, batch_size=_PAGE):
                yield to_rows(batch.to_pylist())

    def rows_of(self, ids: Iterable[str]) -> list[Row]:
        """The rows of these annotations, those that are there, in no order."""
        literals, found = [quoted(id_) for id_ in ids], []
        with lance_errors(f"reading the snapshots of {self.dataset!r}"):
            for start in range(0, len(literals), MANY):
                some = is_in(KEY, literals[start : start + MANY])
                found += to_rows(self._scan(SCHEMA.names, some).to_pylist())
        return found

    def _scan(self, columns: list[str], where: str | None = None, *, with_row_id: bool = False) -> Any:
        return self.lance.to_table(columns=columns, filter=where, with_row_id=with_row_id)


def open_version(root: Root, info: VersionInfo) -> Table:
    """The table as a version names it. Rejected when somebody removed it from under the name, or it is damaged.

    The manifest is looked at before Lance is: on a damaged one it may end the process, or give other rows.
    """
    if not manifest_is_sound(root, info.dataset, info.table_version):
        raise Rejected(f"opening {info.dataset}@{info.name}: the table's manifest is damaged; {MEND}")
    table = Table.open(root, info.dataset, info.table_version)
    if table is None:
        uri = root.table_uri(info.dataset)
        raise Rejected(f"the rows of {info.dataset}@{info.name} were removed from {uri}; {MEND}")
    return table


@contextmanager
def lance_errors(doing: str) -> Iterator[None]:
    """Translate what Lance raises: damage into Rejected, storage that fails and too many commits into Retryable."""
    refuse_in_fork(doing)
    try:
        yield
    except (SyncdError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of Lance is no Exception
        if is_damage(error):
            raise Rejected(f"{doing}: a file of the table is damaged ({summary(error)}); {MEND}") from error
        if isinstance(error, ValueError) and not _TROUBLE.search(str(error)):
            raise
        if isinstance(error, (OSError, RuntimeError, ValueError)):
            raise Retryable(f"{doing}: {summary(error)}") from error
        raise


def _statuses(tables: Iterable[Any]) -> Counter[str]:
    return Counter(status for table in tables for status in table["status"].to_pylist())


def _by_key(table: Any) -> dict[str, str]:
    return dict(zip(table[KEY].to_pylist(), table["digest"].to_pylist(), strict=True))
