"""The names of a dataset's versions: small create-only objects, the truth about what is named.

Called by `store`, `commit` and `training.reader`. Creating `versions/N.json` is the commit point of vN: it exists or
it does not, and of two processes one gets it. `latest.json` only shortens the search for the newest name: it may lag,
and one that power loss left unreadable is as good as none. Names stay when garbage collection takes their rows: the
`ledger` says which are left, and where the tags point. Fields that a newer program added are passed over.
"""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from datetime import UTC, datetime

from syncd.domain.errors import Conflict, Rejected
from syncd.domain.model import VersionInfo
from syncd.snapshots.ledger import Entry, Ledger
from syncd.snapshots.location import Root
from syncd.snapshots.sealed import sealed, unsealed

_VERSION = re.compile(r"v[1-9]\d*")
_NUMBERED = re.compile(r"/(\d{8,})\.json$")
_FIELDS = [field.name for field in fields(VersionInfo)]
_READERS = 32


def version_number(name: str) -> int | None:
    """3 for `v3`; None for what is no version name."""
    return int(name[1:]) if _VERSION.fullmatch(name) else None


class Names:
    """The named versions of one dataset. Blocking; remembers how far its ledger was read, and what it last found."""

    def __init__(self, root: Root, dataset: str) -> None:
        self.root = root
        self.dataset = dataset
        self.ledger = Ledger(root, dataset)
        self._found: VersionInfo | None = None

    def exist(self) -> bool:
        """Whether any version was named yet."""
        return self.root.read(self._path(1)) is not None

    def get(self, number: int) -> VersionInfo | None:
        """One version, also a collected one; None where there is no such name. Rejected when its object is damaged."""
        data = self.root.read(self._path(number))
        if data is None:
            return None
        info = _info(data)
        if info is None or info.number != number:
            hint = f"or from {self.dataset}/latest.json where that holds the same number; if there is neither and no"
            hint += " newer version, remove it: the next commit names its rows anew"
            raise Rejected(f"{self.root.url}/{self._path(number)} is damaged: restore it from a backup, {hint}")
        return info

    def require(self, number: int, decided: Entry | None = None) -> VersionInfo:
        """One version that is left, by what was `decided` (default: asked). Rejected says why it is not there."""
        found = self.get(number)
        if found is None:
            newest = self.newest()
            there = f"the newest is {newest.name}" if newest else "it has no versions yet"
            raise Rejected(f"dataset {self.dataset!r} has no version v{number}: {there}")
        if (decided or self.ledger.newest()).has_collected(number):
            raise Rejected(gone(self.dataset, number, self.ledger.collected_at(number), self._oldest()))
        return found

    def find(self, name: str) -> VersionInfo:
        """The version that `v3`, a tag or `latest` means. Rejected: there is none, and what there is."""
        newest = self.newest()
        if newest is None:
            raise Rejected(f"dataset {self.dataset!r} has no versions yet")
        if name == "latest":
            return newest
        return self.require(version_number(name) or self._tagged(name))

    def _tagged(self, tag: str) -> int:
        tags = self.tags()
        if tag not in tags:
            raise Rejected(no_tag(self.dataset, tag, tags))
        return tags[tag]

    def newest(self) -> VersionInfo | None:
        """The newest version: two requests, whatever their number, while the hint is fresh."""
        info = self._hint() or self._last_listed()
        while later := self.get(info.number + 1 if info else 1):
            info = later
        self._found = info
        return info

    def expected(self, number: int) -> VersionInfo | None:
        """The version that was the newest a moment ago, 0: none was; no request where `newest` told. Conflict: gone."""
        if number == 0:
            return None
        known = self._found if self._found and self._found.number == number else self.get(number)
        if known is None:
            raise Conflict(f"{self.dataset} has no version v{number} any more: it was made anew meanwhile")
        return known

    def _hint(self) -> VersionInfo | None:
        data = self.root.read(f"{self.dataset}/latest.json")
        return None if data is None else _info(data)

    def _last_listed(self) -> VersionInfo | None:
        numbers = self._numbers(0)
        return self.get(numbers[-1]) if numbers else None

    def all(self) -> list[VersionInfo]:
        """All versions that are left, oldest first."""
        with ThreadPoolExecutor(_READERS) as pool:
            return [info for info in pool.map(self.get, self._left()) if info]

    def numbers(self) -> list[int]:
        """The numbers that are left, without a look at the names: also of one that is damaged or missing."""
        hint, decided = self._hint(), self.ledger.newest()
        last = max([*self._numbers(0), hint.number if hint else 0])
        return [number for number in range(1, last + 1) if not decided.has_collected(number)]

    def _oldest(self) -> int:
        return self._left()[0]

    def _left(self) -> list[int]:
        """The numbers of all versions that are left; what was collected first is not even listed."""
        decided = self.ledger.newest()
        first = next((part.stop for part in decided.collected if part.start == 1), 1)
        return [number for number in self._numbers(first - 1) if not decided.has_collected(number)]

    def _numbers(self, after: int) -> list[int]:
        """Of what lies beside the names, such as a copy somebody made, nothing is a name."""
        paths = self.root.paths(f"{self.dataset}/versions", after=self._path(after) if after else None)
        return [int(match[1]) for path in paths if (match := _NUMBERED.search(path))]

    def create(self, info: VersionInfo) -> bool:
        """Name a version; False when that number is (or may be) taken: read again."""
        return self.root.create(self._path(info.number), sealed(asdict(info)))

    def hint(self, info: VersionInfo) -> None:
        """Remember the newest version where `newest` looks first."""
        self.root.overwrite(f"{self.dataset}/latest.json", sealed(asdict(info)))

    def tags(self) -> dict[str, int]:
        """Movable name → version number; `latest` is among them once there is a version. Rejected: damaged."""
        newest = self.newest()
        return ({"latest": newest.number} if newest else {}) | dict(self.ledger.newest().tags)

    def _path(self, number: int) -> str:
        return f"{self.dataset}/versions/{number:08}.json"


def gone(dataset: str, number: int, at: float, oldest: int) -> str:
    """What is said of a version that garbage collection took."""
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    return f"v{number} of {dataset!r} was removed by garbage collection on {day}; the oldest kept is v{oldest}"


def moved_on(dataset: str, expected: int | None) -> str:
    """What is said to a commit that comes too late."""
    return f"{dataset} has rows that came after v{expected}: read again what is staged"


def no_tag(dataset: str, tag: str, tags: Iterable[str]) -> str:
    """What is said of a name that is neither a version nor a tag."""
    return f"dataset {dataset!r} has no tag {tag!r}; there is: {', '.join(sorted(tags))}, and versions as in v1"


def _info(data: bytes) -> VersionInfo | None:
    """The version an object describes; None where it describes none, or a bit of it has changed."""
    record = unsealed(data) or {}
    try:
        return VersionInfo(**{name: record[name] for name in _FIELDS if name in record})
    except TypeError:  # a field is missing
        return None
