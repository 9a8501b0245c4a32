"""Which versions garbage collection keeps, and why. Pure.

Called by the snapshot stores, and by the command line to show it beforehand.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice

from syncd.domain.model import VersionInfo
from syncd.ports import Retention

DAY = 86400.0
SPARE_S = 3600.0
"""Seconds for which a table version is left alone, whoever wants it gone: `cleanup` says why."""


def reasons(
    versions: Sequence[VersionInfo], tags: Mapping[str, int], keep: Retention, now: float
) -> dict[int, list[str]]:
    """Why each version that is kept is kept, by number; what is not in it may go. `versions`: oldest first.

    `tags`: where they point, with or without `latest`; `now`: unix seconds.
    """
    why: defaultdict[int, list[str]] = defaultdict(list)
    there = {info.number for info in versions}
    for info in islice(reversed(versions), 1):
        why[info.number].append("the newest")
    for tag, number in sorted(tags.items()):
        if number in there and tag != "latest":
            why[number].append(f"tagged {tag}")
    for info in islice(reversed(versions), keep.versions):
        why[info.number].append(f"among the last {keep.versions}")
    for info in versions:
        if now - info.created_at < keep.age:
            why[info.number].append(f"younger than {keep.age / DAY:g} days")
    return dict(why)


def doomed(versions: Sequence[VersionInfo], tags: Mapping[str, int], keep: Retention, now: float) -> list[int]:
    """The numbers of the versions that nothing keeps, in order."""
    kept = reasons(versions, tags, keep, now)
    return [info.number for info in versions if info.number not in kept]
