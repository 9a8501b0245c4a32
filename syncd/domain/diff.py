"""What changed between two versions of a dataset: which rows came, changed and left, and how the counts moved.

Made by the snapshot stores, shown by `syncd snapshot diff` and its report. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from syncd.domain.model import Row, RowStatus


@dataclass(frozen=True, slots=True)
class Update:
    """One row that is in both versions and differs: the fields that do, and the labels that came and left."""

    annotation_id: str
    key: str | None
    fields: tuple[str, ...]
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that came and left, with their sign: `+dog`, `-cat`."""
        return (*(f"+{label}" for label in self.labels_added), *(f"-{label}" for label in self.labels_removed))


@dataclass(frozen=True, slots=True)
class Counts:
    """What one version holds: how often each label is used in submitted rows; rows by status and by split."""

    labels: Mapping[str, int] = field(default_factory=dict)
    status: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two versions, in order of annotation id, and what each of them holds.

    A row that changed and changed back is no update: what counts is its digest.
    """

    inserted: tuple[str, ...]
    updated: tuple[Update, ...]
    deleted: tuple[str, ...]
    before: Counts = Counts()
    after: Counts = Counts()

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.inserted or self.updated or self.deleted)


def compare(before: Mapping[str, Row], after: Mapping[str, Row]) -> Diff:
    """What changed from one set of rows to another, both by annotation id."""
    both = sorted(before.keys() & after.keys())
    return Diff(
        inserted=tuple(sorted(after.keys() - before.keys())),
        updated=tuple(update(before[id_], after[id_]) for id_ in both if before[id_].digest != after[id_].digest),
        deleted=tuple(sorted(before.keys() - after.keys())),
        before=count(before.values()),
        after=count(after.values()),
    )


def update(old: Row, new: Row) -> Update:
    """How one row differs from what it was."""
    names = (one.name for one in fields(Row) if one.name != "digest")
    return Update(
        annotation_id=new.annotation_id,
        key=new.key,
        fields=tuple(name for name in names if getattr(old, name) != getattr(new, name)),
        labels_added=tuple(sorted({*new.labels} - {*old.labels})),
        labels_removed=tuple(sorted({*old.labels} - {*new.labels})),
    )


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> list[tuple[str, int, int, str]]:
    """Name, count before, count after and the difference with its sign, in order of the names."""
    both = ((name, before.get(name, 0), after.get(name, 0)) for name in sorted({*before, *after}))
    return [(name, old, new, f"{new - old:+,}" if new != old else "") for name, old, new in both]


def count(rows: Iterable[Row]) -> Counts:
    """What a set of rows holds, each mapping in order of its names."""
    labels: Counter[str] = Counter()
    status: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    for row in rows:
        status[row.status.value] += 1
        splits.update([row.split] if row.split else [])
        labels.update(row.labels if row.status is RowStatus.SUBMITTED else ())
    return Counts(*(dict(sorted(counts.items())) for counts in (labels, status, splits)))
