"""How rows get into a Lance table: one Lance commit, made by hand, whose cost follows the change.

Called by `table`, in whose `lance_errors`; a second module that names Lance. Blocking. Lance's own `merge_insert` joins
the keys of the whole table, twice where rows are deleted too. 1,000 mixed changes to 1,000,000 rows (2 cores, pylance
14.0.2): 540 ms by it in one commit, 215 ms in one for upserts and one for deletes, 45 ms so, besides finding the rows
(`places`).

Rows that are replaced or deleted are marked so in their fragments, the new ones are one new fragment, and an
annotation keeps its row id. What merge_insert does besides is to see that two commits at once insert the same key. Here
every commit lists the table's oldest fragment, its latch, among those it changed: so of two at once Lance lets the
second go no further, whatever they touched, and it is made again on top of the first. A table without rows has no
latch: what comes to it is written over it, which Lance does only while nothing else came.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from syncd.domain.model import Row
from syncd.snapshots.places import Place, places
from syncd.snapshots.schema import SCHEMA, to_table
from syncd.snapshots.sql import is_in

_ATTEMPTS = 50  # each that fails is one that another process made
_PAUSE_S = 0.02
_AT_ONCE = 8  # fragments
FIRST = 1
"""The number of the table version that is made empty."""


def merge(
    lance: Any, rows: Mapping[str, Row | None], check: Callable[[Any], None] = lambda _: None
) -> tuple[Any, bool]:
    """Put rows in by annotation id (None: delete it). The Lance dataset behind it, and whether anything was to do.

    `check` is called before it is tried again on top of another commit, and may refuse by raising. Raises what Lance
    raises, too; its CommitConflictError when others keep committing.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        found = places(lance, rows.keys())
        upserts = [row for id_, row in rows.items() if row and (id_ not in found or found[id_].digest != row.digest)]
        replaced = [found[row.annotation_id] for row in upserts if row.annotation_id in found]
        deleted = [place for id_, place in found.items() if rows[id_] is None]
        if not upserts and not deleted:
            return lance, False
        try:
            return _committed(lance, upserts, found, [*replaced, *deleted]), True
        except OSError as error:
            was, empty = lance.version, not lance.get_fragments()
            lance.checkout_latest()
            if attempt == _ATTEMPTS or not (_is_conflict(error) or (empty and lance.version > was)):
                raise
        time.sleep(random.uniform(0, _PAUSE_S * attempt))  # noqa: S311 - jitter
        check(lance)
    raise AssertionError


def _is_conflict(error: OSError) -> bool:
    return type(error).__name__ == "CommitConflictError" or "commit conflict" in str(error).lower()


def _committed(lance: Any, upserts: Sequence[Row], found: Mapping[str, Place], going: Sequence[Place]) -> Any:
    fragments = {fragment.fragment_id: fragment for fragment in lance.get_fragments()}
    if not fragments:
        return _first_rows(lance, upserts)
    marked, removed = _marked(fragments, going)
    latch = min(fragments)
    if latch not in marked and latch not in removed:
        marked[latch] = fragments[latch].metadata
    return _commit(lance, list(marked.values()), removed, _written(lance, upserts, found))


def _marked(fragments: Mapping[int, Any], going: Iterable[Place]) -> tuple[dict[int, Any], list[int]]:
    """The fragments with these rows marked as deleted, by number, and the numbers of those that hold no other."""
    addresses: defaultdict[int, list[str]] = defaultdict(list)
    for place in going:
        addresses[place.address >> 32].append(str(place.address))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        changed = pool.map(lambda one: fragments[one[0]].delete(is_in("_rowaddr", one[1])), addresses.items())
        marked = dict(zip(addresses, changed, strict=True))
    left = {number: metadata for number, metadata in marked.items() if metadata is not None}
    return left, [number for number in marked if number not in left]


def _written(lance: Any, upserts: Sequence[Row], found: Mapping[str, Place]) -> list[Any]:
    """A fragment of these rows: first those that keep the id they had, then those that Lance gives one."""
    from lance.fragment import RowIdSequence, write_fragments  # noqa: PLC0415 - it takes a second to load

    if not upserts:
        return []
    kept = [row for row in upserts if row.annotation_id in found]
    new = [row for row in upserts if row.annotation_id not in found]
    (fragment,) = write_fragments(to_table([*kept, *new]), lance, max_rows_per_file=len(upserts))
    if kept:
        ids = [found[row.annotation_id].row_id for row in kept]
        fragment.row_id_meta = RowIdSequence(ids).to_inline_metadata()
    return [fragment]


def _commit(lance: Any, marked: list[Any], removed: list[int], new: list[Any]) -> Any:
    from lance import LanceOperation  # noqa: PLC0415

    fields = sorted({field for fragment in [*marked, *new] for file in fragment.files for field in file.fields})
    operation = LanceOperation.Update(
        removed_fragment_ids=removed,
        updated_fragments=marked,
        new_fragments=new,
        fields_for_preserving_frag_bitmap=fields,
        update_mode="rewrite_rows",
    )
    return lance.commit(lance, operation, read_version=lance.version, storage_options=lance.latest_storage_options())


def _first_rows(lance: Any, upserts: Sequence[Row]) -> Any:
    """Rows for a table without any. Without retries Lance writes over the empty version it came with, or nothing."""
    from lance import LanceOperation  # noqa: PLC0415

    first = LanceOperation.Overwrite(SCHEMA, _written(lance, upserts, {}))
    options = {"storage_options": lance.latest_storage_options(), "enable_stable_row_ids": True}
    return lance.commit(lance, first, read_version=lance.version, max_retries=0, **options)
