"""Commits at once, from tables opened before each other's: no row is lost, doubled, or comes back."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.domain.model import Row, StagedChange
from syncd.snapshots.compaction import compact
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.table import Table
from tests.snapshots.rows import gone, put, row


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path.as_uri())


def opened(root: Root) -> Table:
    table = Table.open(root, "fruits")
    assert table
    return table


def filled(root: Root, *ids: str) -> None:
    Table.make(root, "fruits").merge([put(id_) for id_ in ids])


def rows(root: Root) -> list[Row]:
    return opened(root).rows()


def test_of_two_that_insert_the_same_annotation_the_second_finds_it_there(root: Root) -> None:
    filled(root, "1")
    first, second = opened(root), opened(root)
    assert first.merge([put("2")])
    assert not second.merge([put("2")])
    assert rows(root) == [row("1"), row("2")]


def test_of_two_that_change_an_annotation_the_last_one_wins(root: Root) -> None:
    filled(root, "1")
    first, second = opened(root), opened(root)
    assert first.merge([put("1", task_id="7")])
    assert second.merge([put("1", task_id="8")])
    assert rows(root) == [row("1", task_id="8")]


@pytest.mark.parametrize("late", [put("1", task_id="7"), gone("1")], ids=["changed", "deleted"])
def test_what_another_deleted_in_between(root: Root, late: StagedChange) -> None:
    filled(root, "1", "2")
    first, second = opened(root), opened(root)
    assert first.merge([gone("1")])
    assert second.merge([late]) == (late.row is not None)
    assert rows(root) == [*([late.row] if late.row else []), row("2")]


def test_of_two_that_bring_the_first_rows_both_stay(root: Root) -> None:
    first, second = Table.make(root, "fruits"), Table.make(root, "fruits")
    assert first.merge([put("1"), put("2")])
    assert second.merge([put("2"), put("3")])
    assert rows(root) == [row("1"), row("2"), row("3")]


def test_an_emptied_table_takes_rows_again_and_gives_them_ids_of_their_own(root: Root) -> None:
    filled(root, "1")
    table = opened(root)
    assert table.merge([gone("1")])
    assert rows(root) == []
    emptied = table.version
    assert table.merge([put("1"), put("2")])
    assert rows(root) == [row("1"), row("2")]
    assert table.changed(emptied).inserted == {"1", "2"}
    assert table.changed(2).inserted == {"2"}


def test_a_compaction_in_between_is_built_on(root: Root) -> None:
    filled(root, "1")
    for number in range(2, 6):
        opened(root).merge([put(str(number))])
    stale, table = opened(root), opened(root)
    assert compact(root, table, many=2)
    assert stale.merge([put("3", task_id="7"), gone("4"), put("9")])
    assert rows(root) == [row("1"), row("2"), row("3", task_id="7"), row("5"), row("9")]


def test_an_annotation_keeps_its_row_id_through_changes_and_compaction(root: Root) -> None:
    filled(root, "1", "2")

    def row_id(id_: str) -> int:
        found = opened(root).lance.to_table(columns=[], filter=f"annotation_id = '{id_}'", with_row_id=True)
        return int(found["_rowid"][0].as_py())

    before = row_id("2")
    opened(root).merge([put("3"), put("2", task_id="7"), put("4")])
    assert row_id("2") == before
    assert compact(root, opened(root), many=2)
    opened(root).merge([put("2", task_id="8")])
    assert row_id("2") == before
    assert len({row_id(id_) for id_ in "1234"}) == 4


@pytest.mark.parametrize("empty", [True, False], ids=["from nothing", "from some rows"])
def test_many_at_once_come_to_what_one_after_the_other_would(root: Root, empty: bool) -> None:
    """Everybody inserts what others insert, changes and deletes what is its own, from tables opened long ago."""
    Table.make(root, "fruits")
    if not empty:
        filled(root, "old")

    def work(name: int) -> None:
        chance, table = random.Random(name), opened(root)
        for step in range(12):
            shared = [put(f"shared-{chance.randrange(30)}") for _ in range(3)]
            own = [put(f"{name}-{step}"), put(f"{name}-state", task_id=str(step))]
            table.merge([*shared, *own, *([gone(f"{name}-{step - 2}")] if step > 1 else [])])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    found = rows(root)
    ids = [one.annotation_id for one in found]
    assert len(ids) == len(set(ids))
    own = {f"{name}-{step}" for name in range(6) for step in (10, 11)} | {f"{name}-state" for name in range(6)}
    assert own | (set() if empty else {"old"}) == {id_ for id_ in ids if not id_.startswith("shared-")}
    assert {one.task_id for one in found if one.annotation_id.endswith("-state")} == {"11"}
