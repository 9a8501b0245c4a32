"""The names of a dataset's versions, and its tags: small create-only objects, the truth about what is named.

Called by `store` and `reader`. Creating `versions/N.json` is the commit point of vN: it exists or it does not,
and of two processes one gets it. `latest.json` only shortens the search for the newest name and may lag. A tag
moves by a new object in its folder, which is its history too.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import orjson

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import VersionInfo
from syncd.snapshots.location import Root

_TAG = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_VERSION = re.compile(r"v[1-9]\d*")
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

    def get(self, number: int) -> VersionInfo | None:
        """One version, None where there is no such name."""
        data = self._root.read(self._path(number))
        return VersionInfo(**orjson.loads(data)) if data else None

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
        return VersionInfo(**orjson.loads(data)) if data else None

    def _last_listed(self) -> VersionInfo | None:
        numbers = self._numbers()
        return self.get(numbers[-1]) if numbers else None

    def all(self) -> list[VersionInfo]:
        """All versions, oldest first."""
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(self.require, self._numbers()))

    def _numbers(self) -> list[int]:
        return [_stem(path) for path in self._root.paths(f"{self.dataset}/versions")]

    def create(self, info: VersionInfo) -> bool:
        """Name a version; False when that number is (or may be) taken: read again."""
        return self._root.create(self._path(info.number), _json(asdict(info)))

    def hint(self, info: VersionInfo) -> None:
        """Remember the newest version where `newest` looks first."""
        self._root.overwrite(f"{self.dataset}/latest.json", _json(asdict(info)))

    def tags(self) -> dict[str, int]:
        """Movable name → version number; `latest` is among them once there is a version."""
        newest = self.newest()
        tags = {"latest": newest.number} if newest else {}
        last = {path.split("/")[-2]: path for path in self._root.paths(f"{self.dataset}/tags")}  # sorted: highest wins
        return tags | {tag: self._tagged(path) for tag, path in last.items()}

    def _tagged(self, path: str) -> int:
        return int(orjson.loads(self._root.read(path) or b"{}")["number"])

    def tag(self, tag: str, number: int, at: float) -> None:
        """Point a tag at a version; nothing where it points there. `at`: unix seconds, for its history."""
        for _ in range(_ATTEMPTS):
            moves = self._root.paths(f"{self.dataset}/tags/{tag}")
            if moves and self._tagged(moves[-1]) == number:
                return
            serial = _stem(moves[-1]) + 1 if moves else 1
            path = f"{self.dataset}/tags/{tag}/{serial:08}.json"
            if self._root.create(path, _json({"number": number, "at": at})):
                return
        raise Retryable(f"tag {tag!r} of {self.dataset!r}: others keep moving it", effect_possible=False)

    def _path(self, number: int) -> str:
        return f"{self.dataset}/versions/{number:08}.json"


def _stem(path: str) -> int:
    return int(path.rpartition("/")[2].removesuffix(".json"))


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)
