"""Splits in real tables: given at the first commit, kept ever after, the same in memory as on Lance."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.domain.model import StagedChange
from syncd.domain.splits import Splits
from syncd.ports import SnapshotStore
from syncd.snapshots.assign import assign
from syncd.snapshots.location import open_root
from syncd.snapshots.memory import MemorySnapshots
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import Table
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import gone, put, row

HASHED, STRATIFIED = Splits(), Splits(stratify=True)
ALL_NEW = Splits({"new": 1.0})
VIDEOS = r"(?s)^(.*)/"


@pytest.fixture(params=["memory", "folder", "seaweed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    if request.param == "memory":
        return MemorySnapshots(clock=FakeClock())
    if request.param == "folder":
        return lance_in(tmp_path)
    server: Seaweed = request.getfixturevalue("seaweed")
    return LanceSnapshots(server.fresh(), clock=FakeClock(), storage_options=server.options)


def lance_in(folder: Path) -> LanceSnapshots:
    return LanceSnapshots(folder.as_uri(), clock=FakeClock())


async def splits_of(store: SnapshotStore) -> dict[str, str | None]:
    """Annotation id → split, in the newest version."""
    versions = await store.versions("fruits")
    return {one.annotation_id: one.split for one in await store.rows("fruits", versions[-1].number)}


async def commit(store: SnapshotStore, *changes: StagedChange, splits: Splits | None = HASHED) -> None:
    await store.commit("fruits", changes, "h", splits)


async def test_every_new_row_has_a_split_and_rows_of_one_object_have_one(store: SnapshotStore) -> None:
    await commit(store, *(put(f"{n}{who}", key=f"{n}.jpg") for n in range(20) for who in "ab"))
    found = await splits_of(store)
    assert [found[f"{n}a"] for n in range(20)] == [HASHED.hashed(f"{n}.jpg") for n in range(20)]
    assert [found[f"{n}b"] for n in range(20)] == [found[f"{n}a"] for n in range(20)]


async def test_without_splits_rows_have_none(store: SnapshotStore) -> None:
    await commit(store, put("1", key="a.jpg"), splits=None)
    assert await splits_of(store) == {"1": None}


async def test_an_update_a_second_answer_and_an_overwritten_object_keep_the_split(store: SnapshotStore) -> None:
    await commit(store, put("1", key="a.jpg"), put("2", key="b.jpg"), put("3", key="c.jpg"))
    before = await splits_of(store)
    changes = [put("1", key="a.jpg", labels=("dog",)), put("4", key="b.jpg"), put("5", key="c.jpg", etag="new")]
    await commit(store, *changes, splits=ALL_NEW)
    assert await splits_of(store) == before | {"4": before["2"], "5": before["3"]}


@pytest.mark.parametrize("first", [HASHED, STRATIFIED], ids=["hashed", "stratified"])
async def test_new_shares_are_for_new_objects_alone(store: SnapshotStore, first: Splits) -> None:
    await commit(store, *(put(str(n), key=f"{n}.jpg") for n in range(10)), splits=first)
    before = await splits_of(store)
    await commit(store, *(put(f"{n}b", key=f"{n}.jpg") for n in range(12)), splits=ALL_NEW)
    expected = {f"{n}b": before[str(n)] for n in range(10)} | {"10b": "new", "11b": "new"}
    assert await splits_of(store) == before | expected
    await commit(store, put("0c", key="0.jpg"), put("10c", key="10.jpg"), splits=first)
    assert await splits_of(store) == before | expected | {"0c": before["0"], "10c": "new"}


async def test_an_answer_deleted_and_given_anew_is_in_the_same_split(store: SnapshotStore) -> None:
    await commit(store, *(put(str(n), key=f"{n}.jpg") for n in range(10)))
    before = await splits_of(store)
    await commit(store, *(gone(str(n)) for n in range(10)))
    await commit(store, *(put(f"{n}b", key=f"{n}.jpg") for n in range(10)))
    assert await splits_of(store) == {f"{n}b": before[str(n)] for n in range(10)}


async def test_deleted_and_given_anew_in_one_commit_holds_though_the_shares_have_changed(store: SnapshotStore) -> None:
    await commit(store, put("1", key="a.jpg"))
    before = await splits_of(store)
    await commit(store, gone("1"), put("2", key="a.jpg"), splits=ALL_NEW)
    assert await splits_of(store) == {"2": before["1"]}


async def test_a_new_frame_goes_where_its_video_is_though_the_shares_have_changed(store: SnapshotStore) -> None:
    odd = ["it's (a) [test]\\d", "a b", "line\nbreak", "ü.+?", "#-&~<>", "x" * 300]
    videos = [*odd, *(f"video{n}" for n in range(120))]
    await commit(store, *(put(f"{video}1", key=f"{video}/1.jpg") for video in videos), splits=Splits(group=VIDEOS))
    before = await splits_of(store)
    assert {*before.values()} == {"train", "val", "test"}
    changed = Splits({"new": 1.0}, group=VIDEOS)
    await commit(store, *(put(f"{video}2", key=f"{video}/2.jpg") for video in odd), splits=changed)
    await commit(store, *(put(f"{video}3", key=f"{video}/3.jpg") for video in [*videos, "other"]), splits=changed)
    after = await splits_of(store)
    assert after["other3"] == "new"
    assert [after[f"{video}2"] for video in odd] == [before[f"{video}1"] for video in odd]
    assert [after[f"{video}3"] for video in videos] == [before[f"{video}1"] for video in videos]


async def test_tasks_without_an_object_keep_their_split_too(store: SnapshotStore) -> None:
    await commit(store, *(put(f"{n}a", task_id=str(n)) for n in range(10)))
    before = await splits_of(store)
    await commit(store, *(put(f"{n}b", task_id=str(n)) for n in range(10)), put("k", key="5"), splits=ALL_NEW)
    assert await splits_of(store) == before | {f"{n}b": before[f"{n}a"] for n in range(10)} | {"k": "new"}


async def test_splits_that_come_with_their_rows_stay_and_bind_what_comes_later(store: SnapshotStore) -> None:
    await commit(store, put("0", key="0.jpg"))
    await commit(store, *(put(str(n), key=f"{n}.jpg", split="theirs") for n in range(1, 6)))
    await commit(store, *(put(f"{n}b", key=f"{n}.jpg") for n in range(7)))
    found = await splits_of(store)
    assert [found[f"{n}b"] for n in range(7)] == [found["0"], *["theirs"] * 5, HASHED.hashed("6.jpg")]


async def test_a_restored_version_has_the_splits_it_had(store: SnapshotStore) -> None:
    await commit(store, *(put(str(n), key=f"{n}.jpg") for n in range(10)))
    before = await splits_of(store)
    await commit(store, *(gone(str(n)) for n in range(5)), put("9", key="9.jpg", labels=()), splits=ALL_NEW)
    await store.restore("fruits", 1)
    assert await splits_of(store) == before


async def test_stratified_counts_go_on_over_commits(store: SnapshotStore) -> None:
    for start in range(0, 40, 4):
        changes = [
            put(str(n), key=f"{n}.jpg", labels=("owl",) if n % 4 == 0 else ("cat",)) for n in range(start, start + 4)
        ]
        await commit(store, *changes, splits=STRATIFIED)
    found = await splits_of(store)
    owls = [found[str(n)] for n in range(0, 40, 4)]
    assert {name: owls.count(name) for name in STRATIFIED.shares} == {"train": 8, "val": 1, "test": 1}


# ---------------------------------------------------------------- on Lance alone

ROWS = st.tuples(st.sampled_from("0123456789"), st.sampled_from(["a/1", "a/2", "b/1", "b/2", "c", None]), st.booleans())
RULES = st.builds(
    Splits,
    shares=st.sampled_from([{"train": 0.5, "test": 0.5}, {"a": 0.4, "b": 0.6}]),
    group=st.sampled_from([None, VIDEOS]),
    stratify=st.booleans(),
)
HISTORIES = st.lists(st.tuples(st.lists(ROWS, max_size=5), RULES), min_size=1, max_size=4)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HISTORIES)
def test_random_histories_give_what_they_give_in_memory_and_change_no_object(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[list[tuple[str, str | None, bool]], Splits]]
) -> None:
    asyncio.run(_same_as_in_memory(tmp_path_factory.mktemp("lance"), history))


async def _same_as_in_memory(folder: Path, history: Sequence[Any]) -> None:
    lance, memory = lance_in(folder), MemorySnapshots(clock=FakeClock())
    once: dict[str, str | None] = {}
    for batch, splits in history:
        changes = [
            put(f"{id_}{key}", key=key, task_id=id_, labels=("cat",) if cat else ("dog",)) for id_, key, cat in batch
        ]
        for store in (lance, memory):
            await commit(store, *changes, splits=splits)
        versions = await memory.versions("fruits")
        rows = await lance.rows("fruits", versions[-1].number) if versions else []
        assert rows == (await memory.rows("fruits", versions[-1].number) if versions else [])
        for one in rows:
            assert once.setdefault(one.key or f"task {one.task_id}", one.split) == one.split


async def test_while_the_hash_decides_no_row_is_read_to_assign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = lance_in(tmp_path)
    await commit(store, put("1", key="1.jpg"))
    await commit(store, put("2", key="2.jpg"))
    root = open_root(tmp_path.as_uri())
    table = Table.open(root, "fruits")
    assert table
    monkeypatch.setattr(table, "lance", None)  # reading would fail
    made = assign(root, table, [put("3", key="3.jpg"), gone("1")], HASHED)
    assert [change.row and change.row.split for change in made] == [HASHED.hashed("3.jpg"), None]
    with pytest.raises(AttributeError):
        assign(root, table, [put("3", key="3.jpg")], ALL_NEW)


async def test_the_rules_that_were_in_force_are_kept_each_once(tmp_path: Path) -> None:
    store = lance_in(tmp_path)
    for number, splits in enumerate([HASHED, HASHED, ALL_NEW, ALL_NEW, HASHED, None]):
        await commit(store, put(str(number), key=f"{number}.jpg"), splits=splits)
    assert sorted(path.name for path in (tmp_path / "fruits/splits").iterdir()) == [
        f"0000000{number}.json" for number in (1, 2, 3)
    ]


async def test_damaged_rules_are_as_good_as_changed_ones(tmp_path: Path) -> None:
    store = lance_in(tmp_path)
    await commit(store, put("1", key="1.jpg", split="theirs"))
    (tmp_path / "fruits/splits/00000001.json").write_bytes(b"{")
    await commit(store, put("2", key="1.jpg"))
    await commit(store, put("3", key="1.jpg"))
    assert await splits_of(store) == dict.fromkeys(["1", "2", "3"], "theirs")


async def test_processes_that_commit_at_once_agree_by_hash(tmp_path: Path) -> None:
    stores = [lance_in(tmp_path) for _ in range(3)]
    keys = [f"{n}.jpg" for n in range(30)]
    await asyncio.gather(
        *(commit(store, *(put(f"{key}{i}", key=key) for key in keys)) for i, store in enumerate(stores))
    )
    found = await splits_of(stores[0])
    assert found == {f"{key}{i}": HASHED.hashed(key) for key in keys for i in range(3)}


async def test_the_split_is_no_part_of_what_makes_a_row_the_same(tmp_path: Path) -> None:
    store = lance_in(tmp_path)
    await commit(store, put("1", key="1.jpg"))
    same = StagedChange("1", "1", replace(row("1", key="1.jpg"), split="other"))
    assert await store.commit("fruits", [same], "h", HASHED) is None
