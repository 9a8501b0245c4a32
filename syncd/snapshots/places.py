"""Where the rows of annotations are in a Lance table, without reading all of its ids each time.

Called by `merging`, in whose error handling; blocking. What a data file holds never changes, so the ids of a fragment,
read once in a process, are kept as sorted hashes: 12 bytes a row, up to `MOST` rows a table; fragments beyond are
scanned. A hash only proposes an address. What counts is what the table then holds there: a row that is deleted, or has
another id, is none.

Measured at 1,000,000 rows, 1,000 ids (2 cores, local disk, pylance 14.0.2): 17 ms; 57 ms by scanning; 300 ms once, for
reading the ids.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from syncd.snapshots.schema import KEY
from syncd.snapshots.sql import MANY, is_in, quoted

MOST = 5_000_000  # rows of a table
_SCANNED = 32_768  # rows of a batch: a tenth faster than Lance's default
_FACTS = [KEY, "digest"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is: its stable id, its fragment's number in the upper half of `address`; and what it is."""

    row_id: int
    address: int
    digest: str


def places(lance: Any, ids: Collection[str]) -> dict[str, Place]:
    """Where the rows of these annotations are, by annotation id: those that are there."""
    proposed, unknown = _of(lance.uri).propose(lance, ids)
    found = _read(lance, "_rowaddr", [str(address) for address in proposed])
    if unknown:
        found |= _read(lance, KEY, [quoted(id_) for id_ in ids], fragments=unknown, batch_size=_SCANNED)
    return {id_: place for id_, place in found.items() if id_ in ids}


def _read(lance: Any, column: str, literals: list[str], **how: Any) -> dict[str, Place]:
    """The rows whose column is one of these."""
    found: dict[str, Place] = {}
    for start in range(0, len(literals), MANY):
        where = is_in(column, literals[start : start + MANY])
        scan = lance.scanner(columns=_FACTS, filter=where, with_row_id=True, with_row_address=True, **how)
        there = scan.to_table()
        columns = (there[name].to_pylist() for name in (KEY, "_rowid", "_rowaddr", "digest"))
        found |= {id_: Place(*place) for id_, *place in zip(*columns, strict=True)}
    return found


class _Ids:
    """The ids of one fragment's rows, deleted ones too: a deletion may be of a later version than another look."""

    def __init__(self, fragment: Any) -> None:
        import numpy as np  # noqa: PLC0415 - comes with Lance, and takes as long

        scan = fragment.scanner(columns=[KEY], with_row_id=True, include_deleted_rows=True)
        hashes = _hashes(scan.to_table()[KEY].to_pylist())
        order = np.argsort(hashes)
        self._number = fragment.fragment_id
        self._hashes, self._offsets = hashes[order], order.astype(np.uint32)

    def __len__(self) -> int:
        return len(self._offsets)

    def addresses(self, hashes: Any) -> list[int]:
        """Where rows with these hashes are."""
        starts = self._hashes.searchsorted(hashes, "left")
        ends = self._hashes.searchsorted(hashes, "right")
        hits = (ends > starts).nonzero()[0]
        offsets = (int(self._offsets[at]) for hit in hits for at in range(starts[hit], ends[hit]))
        return [self._number << 32 | offset for offset in offsets]


class _Table:
    """The ids of one table's fragments, by number and data files, of those that were there at the last look."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], _Ids] = {}

    def propose(self, lance: Any, ids: Iterable[str]) -> tuple[list[int], list[Any]]:
        """Addresses at which these may be, and the fragments for which that is not known."""
        kept, unknown = self._looked(lance)
        hashes = _hashes(list(ids))
        return [address for fragment in kept for address in fragment.addresses(hashes)], unknown

    def _looked(self, lance: Any) -> tuple[list[_Ids], list[Any]]:
        there = {(one.fragment_id, *(file.path for file in one.metadata.files)): one for one in lance.get_fragments()}
        kept = {name: ids for name, ids in self._kept.items() if name in there}
        room, unknown = MOST - sum(map(len, kept.values())), []
        for name in there.keys() - kept.keys():
            room -= there[name].physical_rows
            if room >= 0:
                kept[name] = _Ids(there[name])
            else:
                unknown.append(there[name])
        self._kept = kept
        return list(kept.values()), unknown


@lru_cache(maxsize=256)
def _of(_uri: str) -> _Table:
    return _Table()


def _hashes(ids: list[str]) -> Any:
    import numpy as np  # noqa: PLC0415

    return np.fromiter(map(hash, ids), np.int64, len(ids))
