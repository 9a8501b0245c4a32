"""The names of a dataset's versions, and its tags: small create-only objects, the truth about what is named.

Called by `store` and `reader`. Creating `versions/N.json` is the commit point of vN: it exists or it does not,
and of two processes one gets it. `latest.json` only shortens the search for the newest name: it may lag, and one
that power loss left unreadable is as good as none. A tag moves by a new object in its folder, which is its history
too. Fields that a newer program added are passed over.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from typing import Any

import orjson

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import VersionInfo
from syncd.snapshots.location import Root

_TAG = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_VERSION = re.compile(r"v[1-9]\d*")
_NUMBERED = re.compile(r"/\d+\.json$")
_FIELDS = [field.name for field in fields(VersionInfo)]
_ATTEMPTS = 10
_READERS = 16


def version_number(name: str) -> int | None:
    """3 for `v3`; None for what is no version name."""
    return int(name[1:]) if _VERSION.fullmatch(name) else None


def check_tag(tag: str) -> None:
    """Rejected unless people may move a tag of that name."""
    if tag == "latest" or re.fullmatch(r"v\d+", tag) or tag.endswith(".lock") or not _TAG.fullmatch(tag):
        hint = "a tag is letters, digits, `-`, `_` and single dots; `latest` and `v1`, `v2` … are made by syncd"
        raise Rejected(f"{tag!r} cannot be a tag: {hint}")


class Names:
    """The named versions of one dataset, and its tags. Blocking; holds no state."""

    def __init__(self, root: Root, dataset: str) -> None:
        self._root = root
        self.dataset = dataset

    def exist(self) -> bool:
        """Whether any version was named yet."""
        return self._root.read(self._path(1)) is not None

    def get(self, number: int) -> VersionInfo | None:
        """One version, None where there is no such name. Rejected when its object is damaged."""
        data = self._root.read(self._path(number))
        if data is None:
            return None
        info = _info(data)
        if info is None or info.number != number:
            hint = f"or from {self.dataset}/latest.json where that holds the same number; if there is neither and no"
            hint += " newer version, remove it: the next commit names its rows anew"
            raise self._unreadable(self._path(number), hint)
        return info

    def require(self, number: int) -> VersionInfo:
        """One version; Rejected, naming the newest, where there is no such name."""
        found = self.get(number)
        if found is None:
            newest = self.newest()
            there = f"the newest is {newest.name}" if newest else "it has no versions yet"
            raise Rejected(f"dataset {self.dataset!r} has no version v{number}: {there}")
        return found

    def newest(self) -> VersionInfo | None:
        """The newest version: two requests, whatever their number, while the hint is fresh."""
        info = self._hint() or self._last_listed()
        while later := self.get(info.number + 1 if info else 1):
            info = later
        return info

    def _hint(self) -> VersionInfo | None:
        data = self._root.read(f"{self.dataset}/latest.json")
        return None if data is None else _info(data)

    def _last_listed(self) -> VersionInfo | None:
        numbers = self._numbers()
        return self.get(numbers[-1]) if numbers else None

    def all(self) -> list[VersionInfo]:
        """All versions, oldest first."""
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(self.require, self._numbers()))

    def _numbers(self) -> list[int]:
        return [_stem(path) for path in self._numbered("versions")]

    def create(self, info: VersionInfo) -> bool:
        """Name a version; False when that number is (or may be) taken: read again."""
        return self._root.create(self._path(info.number), _json(asdict(info)))

    def hint(self, info: VersionInfo) -> None:
        """Remember the newest version where `newest` looks first."""
        self._root.overwrite(f"{self.dataset}/latest.json", _json(asdict(info)))

    def tags(self) -> dict[str, int]:
        """Movable name → version number; `latest` is among them once there is a version. Rejected: one is damaged."""
        newest = self.newest()
        tags = {"latest": newest.number} if newest else {}
        last = {path.split("/")[-2]: path for path in self._numbered("tags")}  # sorted: highest wins
        return tags | {tag: self._tagged(path) for tag, path in last.items()}

    def _tagged(self, path: str) -> int:
        match _parsed(self._root.read(path) or b""):
            case {"number": int(number)}:
                return number
        raise self._unreadable(path, "or remove it and set the tag anew")

    def tag(self, tag: str, number: int, at: float) -> None:
        """Point a tag at a version; nothing where it points there. `at`: unix seconds, for its history."""
        for _ in range(_ATTEMPTS):
            moves = self._numbered(f"tags/{tag}")
            if moves and self._tagged(moves[-1]) == number:
                return
            serial = _stem(moves[-1]) + 1 if moves else 1
            path = f"{self.dataset}/tags/{tag}/{serial:08}.json"
            if self._root.create(path, _json({"number": number, "at": at})):
                return
        raise Retryable(f"tag {tag!r} of {self.dataset!r}: others keep moving it", effect_possible=False)

    def _unreadable(self, path: str, hint: str) -> Rejected:
        return Rejected(f"{self._root.url}/{path} is damaged: restore it from a backup, {hint}")

    def _numbered(self, folder: str) -> list[str]:
        """The paths of a folder's objects in their order; a copy that somebody put beside them is none of ours."""
        return [path for path in self._root.paths(f"{self.dataset}/{folder}") if _NUMBERED.search(path)]

    def _path(self, number: int) -> str:
        return f"{self.dataset}/versions/{number:08}.json"


def _stem(path: str) -> int:
    return int(path.rpartition("/")[2].removesuffix(".json"))


def _parsed(data: bytes) -> Any:
    """What the JSON says; None where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _info(data: bytes) -> VersionInfo | None:
    """The version an object describes; None where it describes none."""
    match _parsed(data):
        case {"number": int(), "table_version": int(), "by_status": dict()} as record:
            try:
                return VersionInfo(**{name: record[name] for name in _FIELDS if name in record})
            except TypeError:  # a field is missing
                return None
    return None


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)
