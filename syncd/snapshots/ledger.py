"""What was decided about a dataset's versions: which a tag names, and which garbage collection took.

Called by `names`, `tags` and `garbage`. Blocking. One sequence of create-only objects, `<dataset>/ledger/00000001.json`
and on: each holds one decision and all that stands after it, so the highest counts and the rest is history. The
object behind the newest can be created only once, by one who has seen the newest. So a tag moves by compare-and-set,
and of "tag v3" and "collect v3" at once the second sees the first, whichever process on whichever host it is.
`latest.json` beside them decides nothing: it says how far they went, for `verify`.
"""

import random
import re
import secrets
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from syncd.domain.errors import Rejected, Retryable
from syncd.ports import TagMove
from syncd.snapshots.location import Root
from syncd.snapshots.sealed import sealed, unsealed

_ATTEMPTS = 50  # each that fails is one that another process made
_PAUSE_S = 0.01
_READERS = 16
_SERIAL = re.compile(r"/(\d{8,})\.json$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision and what stands after it: where the tags point, and the numbers of all collected versions.

    `tag` moved to `number` (None: was taken away); where there is no `tag`, `taken` was collected. `at`: unix seconds.
    """

    serial: int = 0
    at: float = 0.0
    by: str = ""
    tag: str | None = None
    number: int | None = None
    taken: tuple[range, ...] = ()
    tags: Mapping[str, int] = field(default_factory=dict)
    collected: tuple[range, ...] = ()
    nonce: str = ""

    def has_collected(self, number: int) -> bool:
        """Whether a version is gone."""
        return any(number in part for part in self.collected)

    def moved(self, tag: str, number: int | None, by: str, at: float) -> "Entry":
        """The next decision: the tag points there, or nowhere."""
        tags = {name: there for name, there in self.tags.items() if name != tag}
        tags |= {} if number is None else {tag: number}
        return Entry(at=at, by=by, tag=tag, number=number, tags=tags, collected=self.collected)

    def without(self, numbers: Iterable[int], at: float) -> "Entry":
        """The next decision: these versions are gone, too."""
        taken = ranges(numbers)
        collected = ranges(number for part in (*self.collected, *taken) for number in part)
        return Entry(at=at, taken=taken, tags=self.tags, collected=collected)


def ranges(numbers: Iterable[int]) -> tuple[range, ...]:
    """The numbers as ranges without gaps, in order."""
    found: list[range] = []
    for number in sorted(set(numbers)):
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return tuple(found)


class Ledger:
    """The decisions about one dataset."""

    def __init__(self, root: Root, dataset: str) -> None:
        self._root = root
        self._folder = f"{dataset}/ledger"
        self._known = 0  # entries only come: listings start here

    def newest(self) -> Entry:
        """The newest entry, whose state counts; one that says nothing where there is none. Rejected: it is damaged."""
        serials = self._serials(max(self._known - 1, 0)) or self._serials(0)  # a damaged one may have been removed
        self._known = serials[-1] if serials else 0
        return self._get(self._known) if serials else Entry()

    def append(self, decide: Callable[[Entry], Entry | None]) -> Entry | None:
        """Decide on what stands and write it down; decided anew when another one was quicker.

        None where `decide` finds nothing to do. Raises what it raises, and Retryable where it is not known whether
        the decision was written down.
        """
        for attempt in range(_ATTEMPTS):
            newest = self.newest()
            decision = decide(newest)
            if decision is None:
                return None
            entry = replace(decision, serial=newest.serial + 1, nonce=secrets.token_hex(8))
            if self._landed(entry):
                self._hint(entry)
                return entry
            time.sleep(random.uniform(0, _PAUSE_S * (attempt + 1)))  # noqa: S311 - jitter
        raise Retryable(f"others keep writing to {self._root.url}/{self._folder}", effect_possible=False)

    def _landed(self, entry: Entry) -> bool:
        """Whether the entry is ours now. An answer that was lost, or is wrong, is settled by what is there."""
        path, data = self._path(entry.serial), sealed(_record(entry))
        try:
            if self._root.create(path, data):
                return True
        except Retryable:
            if self._root.read(path) != data:
                raise
            return True
        return self._root.read(path) == data

    def _hint(self, entry: Entry) -> None:
        """Note how far the ledger goes, so that `verify` misses an entry that was removed. It may lag, and may fail."""
        with suppress(Retryable):
            self._root.overwrite(f"{self._folder}/latest.json", sealed({"serial": entry.serial}))

    def moves(self, after: int = 0) -> list[TagMove]:
        """The history of the tags behind a serial."""
        serials = self._serials(after)
        with ThreadPoolExecutor(_READERS) as pool:
            return tag_moves(list(pool.map(self._get, serials)))

    def collected_at(self, number: int) -> float:
        """When a version that is gone was collected, unix seconds: a binary search, for what is gone stays gone."""
        serials = self._serials(0)
        index = bisect_left(serials, True, key=lambda serial: self._get(serial).has_collected(number))
        return self._get(serials[index]).at

    def _serials(self, after: int) -> list[int]:
        paths = self._root.paths(self._folder, after=self._path(after) if after else None)
        return [int(match[1]) for path in paths if (match := _SERIAL.search(path))]

    def _get(self, serial: int) -> Entry:
        data = self._root.read(self._path(serial))
        record = unsealed(data or b"")
        if record is None or record.get("serial") != serial:
            hint = "restore it from a backup, or remove it: the tags are then as they were before it"
            raise Rejected(f"{self._root.url}/{self._path(serial)} is damaged: {hint}")
        return _entry(record)

    def _path(self, serial: int) -> str:
        return f"{self._folder}/{serial:08}.json"


def tag_moves(entries: Iterable[Entry]) -> list[TagMove]:
    """Those of the decisions that moved a tag."""
    return [TagMove(e.serial, e.tag, e.number, e.at, e.by) for e in entries if e.tag is not None]


def _record(entry: Entry) -> dict[str, Any]:
    done = {"tag": entry.tag, "number": entry.number} if entry.tag else {"taken": _pairs(entry.taken)}
    state = {"tags": dict(entry.tags), "collected": _pairs(entry.collected)}
    return {"serial": entry.serial, "at": entry.at, "by": entry.by, **done, **state, "nonce": entry.nonce}


def _entry(record: dict[str, Any]) -> Entry:
    return Entry(
        serial=record["serial"],
        at=record["at"],
        by=record["by"],
        tag=record.get("tag"),
        number=record.get("number"),
        taken=_parts(record.get("taken", [])),
        tags=record["tags"],
        collected=_parts(record["collected"]),
        nonce=record["nonce"],
    )


def _pairs(parts: Iterable[range]) -> list[list[int]]:
    """First and last of each."""
    return [[part.start, part.stop - 1] for part in parts]


def _parts(pairs: Iterable[list[int]]) -> tuple[range, ...]:
    return tuple(range(first, last + 1) for first, last in pairs)
