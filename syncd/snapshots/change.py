"""What happened to a table's rows between two of its versions.

Given by `table`, read by `commit`, `diff` and `restore`. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Change:
    """Annotation ids by what happened to them between two table versions; by how many the count of a status grew."""

    inserted: frozenset[str]
    updated: frozenset[str]
    deleted: frozenset[str]
    by_status: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything happened."""
        return bool(self.inserted or self.updated or self.deleted)

    def reversed(self) -> "Change":
        """The same, read backwards."""
        fewer = {status: -count for status, count in self.by_status.items()}
        return Change(self.deleted, self.updated, self.inserted, fewer)
