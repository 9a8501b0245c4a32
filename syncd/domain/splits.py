"""Which objects are trained on and which are kept to test: train, val and test by a stable hash, or stratified.

Used by the snapshot stores when rows are committed. Pure. By the hash an object's split is a function of its group
and the shares alone: the sha256 of the group, its first 8 bytes as a fraction of 1, and the first split whose share
reaches it. Stratified, it is a function of what was assigned before, too. What is assigned stays: a store says what
it knows (`Known`), and only what is in no split yet is given one.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.model import Row, StagedChange

Counts = Mapping[str, Mapping[str, int]]

_NAME = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Splits:
    """How objects are divided. `shares` by split name; they add up to 1, and their order is the order of the hash.

    `group`: a regular expression searched in the key; what its first group matches (or the whole match) goes into
    one split together. A key that it does not match is its own group. `stratify`: keep the labels' shares alike.
    Raises ConfigError with every problem: field `shares`, `shares.NAME` or `group`.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1})
    group: str | None = None
    stratify: bool = False

    def __post_init__(self) -> None:
        """Refuse what divides nothing."""
        problems = [*_share_problems(self.shares), *_group_problems(self.group)]
        if problems:
            raise ConfigError(problems)

    def group_of(self, key: str) -> str:
        """The group a key belongs to."""
        match = re.search(self.group, key) if self.group else None
        if match is None:
            return key
        first: str | None = match.group(1) if match.re.groups else None
        return match.group() if first is None else first

    def group_of_row(self, row: Row) -> str:
        """The group of the row's object; a task without one is its own group."""
        return object_of(row) if row.key is None else self.group_of(row.key)

    def hashed(self, group: str) -> str:
        """The split of a group by its hash alone."""
        at, end = _fraction(group), 0.0
        for name, share in self.shares.items():
            end += share
            if at < end:
                return name
        return name  # the shares add up to a little less than 1


@dataclass(frozen=True, slots=True)
class Known:
    """What is in a split already: objects and groups with their split, and how many rows each split has.

    `labels`: label → split → rows, and `rows`: split → rows; only stratified assignment asks for them.
    """

    objects: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    labels: Counts = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Row], splits: Splits) -> "Known":
        """What is known where these are all rows there are."""
        placed = [(row, row.split) for row in rows if row.split is not None]
        labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row, split in placed:
            for label in row.labels:
                labels[label][split] += 1
        return cls(
            objects=settled((object_of(row), split) for row, split in placed),
            groups=settled((splits.group_of_row(row), split) for row, split in placed),
            labels=labels,
            rows=Counter(split for _, split in placed),
        )


def object_of(row: Row) -> str:
    """What makes two rows speak of one object: its key, in whatever bucket; without an object, the task."""
    return task(row.task_id) if row.key is None else row.key


def task(task_id: str) -> str:
    """What stands for the object of a task that has none, such as a text of its own."""
    return f"task:{task_id}"


def settled(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each one's split, from pairs of it and a split. One found in several is in that of most pairs, then by name."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one, split in found:
        counts[one][split] += 1
    return {one: _most(count) for one, count in counts.items()}


def assign(rows: Sequence[Row], splits: Splits, known: Known) -> list[Row]:
    """The rows, each with its split: the one it brings, else its object's, else its group's, else a new one."""
    objects, groups, grouped = dict(known.objects), dict(known.groups), [splits.group_of_row(row) for row in rows]
    for row, group in zip(rows, grouped, strict=True):
        split = row.split or objects.get(object_of(row))
        if split is not None:
            objects.setdefault(object_of(row), split)
            groups.setdefault(group, split)
    new: defaultdict[str, list[Row]] = defaultdict(list)
    for row, group in zip(rows, grouped, strict=True):
        if group not in groups:
            new[group].append(row)
    groups |= _Stratifying(splits, new, known).run() if splits.stratify else {name: splits.hashed(name) for name in new}
    return [
        row if row.split else replace(row, split=objects.get(object_of(row)) or groups[group])
        for row, group in zip(rows, grouped, strict=True)
    ]


def assigned(changes: Sequence[StagedChange], splits: Splits, known: Known) -> list[StagedChange]:
    """The changes, each row among them with its split."""
    rows = iter(assign([change.row for change in changes if change.row], splits, known))
    return [StagedChange(c.annotation_id, c.task_id, next(rows), c.seq) if c.row else c for c in changes]


class _Stratifying:
    """Iterative stratification: the rarest label first, each group of it to the split that lacks the label most.

    Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data (ECML PKDD 2011), algorithm 1, with two
    differences: what is there counts towards what is wanted, and a group weighs as many as it has rows. Ties go to
    the split that lacks most rows, then to the first; groups come in the order of their hash.
    """

    def __init__(self, splits: Splits, new: Mapping[str, Sequence[Row]], known: Known) -> None:
        self._shares = splits.shares
        self._sizes = {group: len(new[group]) for group in sorted(new, key=_fraction)}
        self._labels = {group: Counter(label for row in new[group] for label in row.labels) for group in self._sizes}
        coming: Counter[str] = Counter()
        for labels in self._labels.values():
            coming += labels
        self._lacks = {name: self._wanted(coming[name], known.labels.get(name, {})) for name in sorted(coming)}
        self._lacks_rows = self._wanted(sum(self._sizes.values()), known.rows)
        self._placed: dict[str, str] = {}

    def _wanted(self, coming: int, there: Mapping[str, int]) -> dict[str, float]:
        """How many more each split should get."""
        total = coming + sum(there.get(name, 0) for name in self._shares)
        return {name: share * total - there.get(name, 0) for name, share in self._shares.items()}

    def run(self) -> dict[str, str]:
        """group → split."""
        waiting: dict[str, dict[str, None]] = {label: {} for label in self._lacks}
        for group, labels in self._labels.items():
            for label in labels:
                waiting[label][group] = None
        while waiting:
            rarest = min(waiting, key=lambda label: len(waiting[label]))
            for group in waiting.pop(rarest):
                self._place(group, self._lacks[rarest])
                for label in self._labels[group].keys() & waiting.keys():
                    del waiting[label][group]
        for group in [group for group in self._sizes if group not in self._placed]:
            self._place(group, self._lacks_rows)
        return self._placed

    def _place(self, group: str, lacks: Mapping[str, float]) -> None:
        split = max(self._shares, key=lambda name: (lacks[name], self._lacks_rows[name]))
        self._placed[group] = split
        self._lacks_rows[split] -= self._sizes[group]
        for label, count in self._labels[group].items():
            self._lacks[label][split] -= count


def _fraction(group: str) -> float:
    return int.from_bytes(sha256(group.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64


def _share_problems(shares: Mapping[str, float]) -> Iterator[Problem]:
    for name, share in shares.items():
        if not _NAME.fullmatch(name):
            yield Problem(f"shares.{name}", repr(name), "a split's name is of a-z, 0-9, _ and -")
        if not (math.isfinite(share) and share > 0):
            yield Problem(f"shares.{name}", f"{name} = {share}", "a share must be more than 0")
    total = sum(shares.values())
    if not math.isclose(total, 1, abs_tol=1e-9):
        yield Problem("shares", f"{total:.10g}", "must add up to 1, as in { train = 0.9, test = 0.1 }")


def _group_problems(group: str | None) -> Iterator[Problem]:
    if group is None:
        return
    try:
        if re.search(group, ""):
            yield Problem("group", repr(group), "must not match the empty text, or all keys are one group")
    except re.error as error:
        yield Problem("group", repr(group), f"must be a regular expression: {error}")


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))
