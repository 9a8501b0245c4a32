"""Finds every file of a version that is missing or not as it was written.

Called by `store`. Blocking, reads only, and never by Lance: on a damaged file Lance may give other rows, panic, or end
the process. Every file is read once, many at a time, as a stream, however many versions are looked at.

What is compared with what: the table's files with the checksums of their table version; names, hints, the ledger and
the checksums themselves with their seals; a label config with its hash, which is its name; the Lance tag `vN` with the
one form it can have. Where one of these is damaged, it is named, and what else says the same stands in for it.

Not seen is a flip in the time of the Lance tag `latest`, which moves: any time is good there. A version that was named
by a process which died at once may lack its Lance tag until the next commit, and is reported so.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

from syncd.domain.errors import Rejected, Retryable
from syncd.ports import Damage, Trouble
from syncd.snapshots.lance_tags import LanceTag, lance_tag, lance_tag_path
from syncd.snapshots.location import Root
from syncd.snapshots.names import Names
from syncd.snapshots.sealed import unsealed
from syncd.snapshots.sums import READERS, Sum, Sums, list_path, listed, lists, manifest_of, sum_of

_NUMBER = re.compile(r"/(\d{8,})\.json$")


def verify(root: Root, dataset: str, numbers: Sequence[int]) -> list[Damage]:
    """The damaged files of these versions, in order of path; none where all is well.

    Rejected: there is no such version (any more). Retryable: the store did not answer.
    """
    return _Look(root, dataset).at(numbers)


class _Look:
    """One look at a dataset. Gathers `damages`, and what the table's files should be."""

    def __init__(self, root: Root, dataset: str) -> None:
        self._root = root
        self._dataset = dataset
        self._damages: set[Damage] = set()
        self._files: defaultdict[str, set[Sum]] = defaultdict(set)
        self._hint = self._sealed(f"{dataset}/latest.json") or {}
        self._ledger = self._ledger_entries()

    def at(self, numbers: Sequence[int]) -> list[Damage]:
        """What `verify` gives."""
        self._must_exist(numbers)
        self._check_shared()
        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(self._check_version, sorted(set(numbers))))
            list(pool.map(self._check_file, sorted(self._files)))
        return sorted(self._damages, key=lambda damage: damage.path)

    def _must_exist(self, numbers: Sequence[int]) -> None:
        there = max([*self._serials("versions"), self._hint.get("number", 0)])
        newest = next((entry for entry in reversed(self._ledger.values()) if entry), {})
        for number in numbers:
            if not 1 <= number <= there:
                says = f"the newest is v{there}" if there else "it has no versions yet"
                raise Rejected(f"dataset {self._dataset!r} has no version v{number}: {says}")
            if any(first <= number <= last for first, last in newest.get("collected", [])):
                Names(self._root, self._dataset).require(number)  # says when it was collected

    # ------------------------------------------------------------ what all versions share

    def _check_shared(self) -> None:
        """The hint, the ledger, the rules of the splits, and the Lance tag that follows the newest version."""
        self._expect(f"{self._dataset}/latest.json", good=bool(self._hint))
        self._expect_tag("latest", lance_tag(self._root, self._dataset, "latest"))
        for path, entry in self._ledger.items():
            self._expect(path, good=entry is not None)
        for path in self._root.paths(f"{self._dataset}/splits"):
            self._expect(path, good=self._sealed(path) is not None)

    def _ledger_entries(self) -> dict[str, dict[str, Any] | None]:
        """Path → entry, in order, with its hint last; None for what is damaged."""
        folder = f"{self._dataset}/ledger"
        hint_path = f"{folder}/latest.json"
        hint, serials = self._sealed(hint_path), self._serials("ledger")
        last = max([*serials, (hint or {}).get("serial", 0)])
        if not last:
            return {} if hint is None and self._root.read(hint_path) is None else {hint_path: hint}
        paths = {f"{folder}/{serial:08}.json": serial for serial in range(1, last + 1)}
        with ThreadPoolExecutor(READERS) as pool:
            entries = dict(zip(paths, pool.map(self._sealed, paths), strict=True))
        good = {path: entry if (entry or {}).get("serial") == paths[path] else None for path, entry in entries.items()}
        return {hint_path: hint and {**hint, "collected": []}, **good}

    # ------------------------------------------------------------ one version

    def _check_version(self, number: int) -> None:
        """Its own small objects; notes what the table's files should be."""
        name, path = f"v{number}", f"{self._dataset}/versions/{number:08}.json"
        record = self._sealed(path) or {}
        self._expect(path, good=record.get("number") == number)
        record = record or (self._hint if self._hint.get("number") == number else {})
        tag = lance_tag(self._root, self._dataset, name)
        table_version = record.get("table_version") or (tag.table_version if tag else None)
        if record:
            self._check_label_config(record["label_config_hash"])
        if table_version is None:
            self._expect_tag(name, tag)
            return
        sums = self._sums(table_version)
        for file, found in sums.items():
            self._files[file].add(found)
        self._expect_tag(name, tag if tag and _fits(tag, table_version, sums) else None)

    def _check_label_config(self, hash_: str) -> None:
        path = f"{self._dataset}/label-configs/{hash_}.xml"
        self._expect(path, good=sha256(self._root.read(path) or b"").hexdigest() == hash_)

    def _sums(self, table_version: int) -> Sums:
        """The list of a table version. Where that is damaged, what the lists before and behind it have in common."""
        sums = listed(self._root, self._dataset, table_version)
        self._expect(list_path(self._dataset, table_version), good=sums is not None)
        if sums is not None:
            return sums
        numbers = lists(self._root, self._dataset)
        before = self._first_list(number for number in reversed(numbers) if number < table_version)
        behind = self._first_list(number for number in numbers if number > table_version)
        return {path: found for path, found in before.items() if behind.get(path) == found}

    def _first_list(self, numbers: Iterable[int]) -> Sums:
        found: Iterator[Sums | None] = (listed(self._root, self._dataset, number) for number in numbers)
        return next((sums for sums in found if sums is not None), {})

    # ------------------------------------------------------------ objects

    def _check_file(self, path: str) -> None:
        full = f"{self._dataset}/{path}"
        try:
            found = sum_of(self._root, self._dataset, path)
        except Retryable:
            if not self._root.local:
                raise
            self._damages.add(Damage(full, Trouble.UNKNOWN))
            return
        if {found} != self._files[path]:
            self._damages.add(Damage(full, Trouble.CHANGED if found else Trouble.MISSING))

    def _expect_tag(self, name: str, tag: LanceTag | None) -> None:
        self._expect(lance_tag_path(self._dataset, name), good=tag is not None)

    def _expect(self, path: str, *, good: bool) -> None:
        if not good:
            there = self._root.read(path) is not None
            self._damages.add(Damage(path, Trouble.CHANGED if there else Trouble.MISSING))

    def _sealed(self, path: str) -> dict[str, Any] | None:
        return unsealed(self._root.read(path) or b"")

    def _serials(self, folder: str) -> list[int]:
        paths = self._root.paths(f"{self._dataset}/{folder}")
        return [int(match[1]) for path in paths if (match := _NUMBER.search(path))]


def _fits(tag: LanceTag, table_version: int, sums: Sums) -> bool:
    """Whether a version's tag is the one that was set with it."""
    manifest = manifest_of(sums)
    sized = manifest is None or sums[manifest].size == tag.manifest_size
    return tag.table_version == table_version and not tag.moved and sized
