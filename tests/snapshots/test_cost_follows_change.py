"""A commit reads and counts only what changed, and comes to what counting everything would."""

import random
from collections import Counter
from pathlib import Path

import orjson
import pytest

from syncd.domain.model import Row, RowStatus, StagedChange
from syncd.snapshots import table
from syncd.snapshots.compaction import compact
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put


@pytest.fixture
def store(tmp_path: Path) -> LanceSnapshots:
    return LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())


def changes(chance: random.Random) -> list[StagedChange]:
    """Up to eight mixed ones to forty annotations."""
    ids = [str(number) for number in chance.sample(range(40), chance.randint(1, 8))]
    statuses = list(RowStatus)
    return [
        gone(id_)
        if chance.random() < 0.3
        else put(id_, status=chance.choice(statuses), task_id=str(chance.randrange(3)))
        for id_ in ids
    ]


def after(rows: dict[str, Row], some: list[StagedChange]) -> dict[str, Row]:
    gone_ids = {change.annotation_id for change in some}
    kept = {id_: kept for id_, kept in rows.items() if id_ not in gone_ids}
    return kept | {change.annotation_id: change.row for change in some if change.row}


@pytest.mark.parametrize("seed", range(3))
async def test_counts_add_up_over_any_history_and_over_compactions(
    store: LanceSnapshots, tmp_path: Path, seed: int
) -> None:
    chance, rows = random.Random(seed), dict[str, Row]()
    for step in range(30):
        some = changes(chance)
        before, rows = rows, after(rows, some)
        made = await store.commit("fruits", some, "h")
        if step in {10, 20}:
            root = open_root(tmp_path.as_uri())
            there = table.Table.open(root, "fruits")
            assert there
            assert compact(root, there, many=2)
        assert (made is None) == (before == rows)
        if made is None:
            continue
        assert await store.rows("fruits", made.number) == [rows[id_] for id_ in sorted(rows)]
        assert made.by_status == dict(Counter(kept.status.value for kept in rows.values()))
        assert (made.inserted, made.deleted) == (len(rows.keys() - before.keys()), len(before.keys() - rows.keys()))
        assert made.updated == sum(before[id_] != rows[id_] for id_ in rows.keys() & before.keys())


async def test_only_new_files_are_hashed_for_a_versions_checksums(
    store: LanceSnapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, hashed = Root.digest, list[str]()

    def counting(self: Root, path: str) -> tuple[int, str] | None:
        hashed.append(path)
        return real(self, path)

    await store.commit("fruits", [put(str(number)) for number in range(50)], "h")
    first = {path.name for path in (tmp_path / "fruits/rows.lance/data").iterdir()}
    monkeypatch.setattr(Root, "digest", counting)
    made = await store.commit("fruits", [put("new")], "h")
    assert made is not None
    folders = Counter(path.split("/")[2] for path in hashed)
    assert folders == {"data": 1, "_versions": 1, "_transactions": 1}
    listed = orjson.loads((tmp_path / f"fruits/checksums/{made.table_version:08}.json").read_bytes())["files"]
    assert {f"rows.lance/data/{name}" for name in first} < listed.keys()
