"""Rows are found by annotation id, whatever was deleted, replaced or compacted since the ids were read."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from syncd.domain.model import StagedChange
from syncd.snapshots import places as module
from syncd.snapshots.compaction import compact
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.places import places
from syncd.snapshots.table import Table
from tests.snapshots.rows import gone, put


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path.as_uri())


@pytest.fixture
def table(root: Root) -> Table:
    made = Table.make(root, "fruits")
    for start in (0, 100, 200):
        made.merge([put(str(number)) for number in range(start, start + 100)])
    return made


def ids_there(table: Table, ids: Iterable[object]) -> set[str]:
    return set(places(table.lance, {str(id_) for id_ in ids}))


def ids_of(*numbers: Iterable[int]) -> set[str]:
    return {str(number) for part in numbers for number in part}


def test_each_row_is_found_in_its_fragment_with_what_it_holds(table: Table) -> None:
    found = places(table.lance, {"7", "150", "299", "300"})
    assert found.keys() == {"7", "150", "299"}
    assert {place.address >> 32 for place in found.values()} == {0, 1, 2}
    rows = {row.annotation_id: row.digest for row in table.rows()}
    assert {id_: place.digest for id_, place in found.items()} == {id_: rows[id_] for id_ in found}


def test_deleted_rows_are_not_found_and_come_again_as_new_ones(table: Table) -> None:
    table.merge([gone("7"), gone("150")])
    assert ids_there(table, range(310)) == ids_of(range(300)) - {"7", "150"}
    table.merge([put("7")])
    assert ids_there(table, range(310)) == ids_of(range(300)) - {"150"}


def test_a_replaced_row_is_found_where_it_is_now(table: Table) -> None:
    before = places(table.lance, {"7"})["7"]
    table.merge([put("7", task_id="changed")])
    after = places(table.lance, {"7"})["7"]
    assert after.row_id == before.row_id
    assert after.address != before.address
    assert after.digest != before.digest


def test_an_older_version_is_looked_up_as_it_was(table: Table) -> None:
    older = table.at(table.version)
    table.merge([gone("7")])
    assert ids_there(table, [7]) == set()
    assert ids_there(older, [7]) == {"7"}


def test_rows_are_found_after_a_compaction(root: Root, table: Table) -> None:
    table.merge([gone("7")])
    assert ids_there(table, range(300)) == ids_of(range(300)) - {"7"}
    assert compact(root, table, large=1000, many=2)
    assert ids_there(table, range(300)) == ids_of(range(300)) - {"7"}


def test_fragments_beyond_what_is_kept_are_scanned(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 250)
    table.merge([gone("7"), gone("150"), gone("250")])
    assert ids_there(table, range(310)) == ids_of(range(300)) - {"7", "150", "250"}


def test_ids_with_one_hash_are_told_apart(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hashes", lambda ids: np.zeros(len(ids), np.int64))
    module._of.cache_clear()
    assert ids_there(table, [7, 150, 999]) == {"7", "150"}
    module._of.cache_clear()


def test_changes_reach_the_right_rows_when_ids_share_a_hash(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hashes", lambda ids: np.array([len(id_) for id_ in ids], np.int64))
    module._of.cache_clear()
    changes: list[StagedChange] = [gone("150"), put("7", task_id="changed"), put("300")]
    assert table.merge(changes)
    module._of.cache_clear()
    rows = {row.annotation_id: row.task_id for row in table.rows()}
    assert rows.keys() == ids_of(range(301)) - {"150"}
    assert rows["7"] == "changed"
