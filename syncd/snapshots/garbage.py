"""Garbage collection of one dataset: decide, then take away, in steps that may die between any two of them.

Called by `store`, in a thread. The next collection, by whatever process, finishes what is missing:

1. Write the decision to the ledger. From here on the versions are gone: nobody can open or tag them.
2. Set the Lance tags: one `vN` for each version that is left (it holds off a clean-up by Lance's own means), none
   for those that are gone.
3. Have Lance remove the table versions that nothing names, and the files only they need.
4. Remove the checksums of those table versions.

A table version is removed only if it is older than that of the newest name, for rows behind it may be about to be
named, and old enough (`cleanup`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import VersionInfo
from syncd.ports import Collected, Retention
from syncd.snapshots.cleanup import estimate, remove
from syncd.snapshots.ledger import Entry
from syncd.snapshots.location import Root
from syncd.snapshots.names import Names
from syncd.snapshots.retention import SPARE_S, doomed
from syncd.snapshots.sums import list_path, lists
from syncd.snapshots.table import Table

# Lance stumbles over what another collection removes at once.
_patiently = Retrying(
    retry=retry_if_exception_type((Rejected, Retryable)),
    stop=stop_after_attempt(6),
    wait=wait_random_exponential(max=1.0),
    reraise=True,
)
_VERSION_TAG = re.compile(r"v\d+")


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection of a dataset. `now`: unix seconds; `spare`: as in `cleanup`."""

    root: Root
    names: Names
    keep: Retention
    now: float
    spare: float = SPARE_S

    def plan(self) -> Collected:
        """What `run` would take."""
        versions, table = self.names.all(), Table.open(self.root, self.names.dataset)
        if not versions or table is None:
            return Collected((), 0)
        newest = self.names.ledger.newest()
        decision = self._decide(versions, newest)
        unnamed = _unnamed(table, _left(versions, decision or newest))
        return Collected(_taken(decision), estimate(self.root, table, unnamed, self.spare))

    def run(self) -> Collected:
        """All four steps."""
        versions, table = self.names.all(), Table.open(self.root, self.names.dataset)
        if not versions or table is None:
            return Collected((), 0)
        decision = self.names.ledger.append(lambda newest: self._decide(versions, newest))
        return Collected(_taken(decision), _patiently(self._sweep, versions, table))

    def _sweep(self, versions: Sequence[VersionInfo], table: Table) -> int:
        """Steps 2 to 4; the bytes that came free."""
        left = _left(versions, self.names.ledger.newest())
        _set_tags(table, left)
        freed = remove(table, _unnamed(table, left), self.spare)
        _forget_checksums(self.root, table, left)
        return freed

    def _decide(self, versions: Sequence[VersionInfo], newest: Entry) -> Entry | None:
        """Step 1. Versions that came since `versions` was read are newer than all of them: none is doomed."""
        gone = doomed(_left(versions, newest), newest.tags, self.keep, self.now)
        return newest.without(gone, self.now) if gone else None


def _taken(decision: Entry | None) -> tuple[int, ...]:
    return tuple(number for part in decision.taken for number in part) if decision else ()


def _left(versions: Sequence[VersionInfo], decided: Entry) -> list[VersionInfo]:
    return [info for info in versions if not decided.has_collected(info.number)]


def _set_tags(table: Table, left: Sequence[VersionInfo]) -> None:
    """Step 2. What is newer than the newest we know is not ours to judge; `latest` is its commit's."""
    wanted = {info.name: info.table_version for info in left}
    there = table.tags()
    for tag, version in wanted.items():
        if there.get(tag) != version:
            table.untag(tag)  # set anew, never moved: `verify` knows it by its equal times
            table.tag(tag, version)
    for tag in there.keys() - wanted.keys():
        if _VERSION_TAG.fullmatch(tag) and int(tag[1:]) < left[-1].number:
            table.untag(tag)


def _unnamed(table: Table, left: Sequence[VersionInfo]) -> list[int]:
    """The table versions that no name points at, nor may come to."""
    named = {info.table_version for info in left}
    return [version for version in table.history() if version < left[-1].table_version and version not in named]


def _forget_checksums(root: Root, table: Table, left: Sequence[VersionInfo]) -> None:
    """Step 4."""
    there, newest = set(table.history()), left[-1].table_version
    gone = [number for number in lists(root, table.dataset) if number < newest and number not in there]
    root.remove([list_path(table.dataset, number) for number in gone])
