"""What every `SnapshotStore` does: the reference in memory, Lance in a folder, Lance on a real S3 server."""

import asyncio
from pathlib import Path

import pytest

from syncd.domain.diff import Diff
from syncd.domain.errors import Conflict, Rejected
from syncd.domain.model import RowStatus, VersionInfo, digest
from syncd.ports import Retention, SnapshotStore, TagMove
from syncd.snapshots.compaction import MANY
from syncd.snapshots.memory import MemorySnapshots
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import gone, put, row

MEGABYTE = 1_000_000
DAY = 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "folder", "seaweed"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> SnapshotStore:
    if request.param == "memory":
        return MemorySnapshots(clock=clock)
    if request.param == "folder":
        return LanceSnapshots(f"{tmp_path.as_uri()}/my%20snapshots", clock=clock, spare=0)
    server: Seaweed = request.getfixturevalue("seaweed")
    return LanceSnapshots(server.fresh(), clock=clock, storage_options=server.options, spare=0)


async def test_first_rows_become_v1_with_its_counts(store: SnapshotStore) -> None:
    changes = [put("1"), put("2"), put("3", status=RowStatus.SKIPPED)]
    made = await store.commit("fruits", changes, "hash-1")
    assert made == VersionInfo(
        dataset="fruits",
        number=1,
        created_at=1_000_000.0,
        rows=3,
        inserted=3,
        updated=0,
        deleted=0,
        by_status={"submitted": 2, "skipped": 1},
        label_config_hash=digest("hash-1"),
        table_version=made.table_version if made else 0,
    )
    assert await store.versions("fruits") == [made]


async def test_one_version_inserts_updates_and_deletes_and_leaves_the_one_before_as_it_was(
    store: SnapshotStore,
) -> None:
    await store.commit("fruits", [put("1"), put("2"), put("3")], "h")
    made = await store.commit("fruits", [put("2", labels=("dog",)), gone("3"), put("4"), put("1")], "h")
    assert made is not None
    assert (made.name, made.rows, made.inserted, made.updated, made.deleted) == ("v2", 3, 1, 1, 1)
    assert await store.rows("fruits", 2) == [row("1"), row("2", labels=("dog",)), row("4")]
    assert await store.rows("fruits", 1) == [row("1"), row("2"), row("3")]


async def test_rows_come_back_exactly(store: SnapshotStore) -> None:
    full = row(
        "draft-7",
        task_id="42",
        status=RowStatus.INVALID,
        invalid_reason="no such label: 'Äpfel' 🍏",
        annotator="zoë@example.org",
        ground_truth=True,
        labels=("Äpfel", "日本", ""),
        result='[{"value": {"text": ["line\\n", "\\u0000", "🍏"]}}]',
        data='{"text": "Ü\\t"}',
        object_uri="s3://photos/a b/Ü.jpg",
        bucket="s3://photos",
        key="a b/Ü.jpg",
        etag='"abc"',
        version_id="v-1",
        retired=True,
        lead_time=1.1,
        created_at="2026-11-20T18:00:00.123456Z",
        updated_at="2026-11-20T18:00:00Z",
        prediction_id="9",
        model_version="yolo-1",
        prediction="[]",
    )
    empty = row("8", labels=(), result="", data="")
    await store.commit("fruits", [put("draft-7", **_fields(full)), put("8", **_fields(empty))], "h")
    assert await store.rows("fruits", 1) == [empty, full]


async def test_a_megabyte_of_result_is_kept(store: SnapshotStore) -> None:
    large = '["' + "ü" * MEGABYTE + '"]'
    await store.commit("fruits", [put("1", result=large), put("2")], "h")
    assert [r.result for r in await store.rows("fruits", 1)] == [large, row("2").result]


async def test_times_come_back_as_utc_and_what_is_no_time_as_none(store: SnapshotStore) -> None:
    changes = [
        put("1", created_at="2026-11-20T20:00:00+02:00", updated_at="2026-11-20T18:00:00"),
        put("2", created_at="yesterday", updated_at="2026-11-20T18:00:00.1234567Z"),
    ]
    await store.commit("fruits", changes, "h")
    times = [(r.created_at, r.updated_at) for r in await store.rows("fruits", 1)]
    assert times == [("2026-11-20T18:00:00Z", "2026-11-20T18:00:00Z"), (None, "2026-11-20T18:00:00.123456Z")]
    assert await store.commit("fruits", changes, "h") is None


async def test_what_the_table_holds_already_makes_no_version(store: SnapshotStore) -> None:
    changes = [put("1"), put("2")]
    await store.commit("fruits", changes, "h")
    assert await store.commit("fruits", changes, "h") is None
    assert await store.commit("fruits", [gone("9")], "another") is None
    assert await store.commit("fruits", [], "h") is None
    assert [info.number for info in await store.versions("fruits")] == [1]


async def test_a_dataset_without_rows_has_no_versions(store: SnapshotStore) -> None:
    assert await store.commit("empty", [gone("1")], "h") is None
    assert await store.versions("empty") == []
    assert await store.tags("empty") == {}
    with pytest.raises(Rejected, match="no version v1: it has no versions yet"):
        await store.rows("empty", 1)


async def test_the_last_change_of_an_annotation_wins_within_a_commit(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1"), put("1", task_id="2"), put("2"), gone("2"), gone("3"), put("3")], "h")
    assert await store.rows("fruits", 1) == [row("1", task_id="2"), row("3")]


async def test_a_version_may_be_empty_and_filled_again(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1")], "h")
    emptied = await store.commit("fruits", [gone("1")], "h")
    assert emptied is not None
    assert (emptied.rows, emptied.by_status) == (0, {})
    assert await store.rows("fruits", 2) == []
    filled = await store.commit("fruits", [put("1")], "h")
    assert filled is not None
    assert (filled.number, filled.inserted) == (3, 1)


async def test_any_text_can_be_an_annotation_id(store: SnapshotStore) -> None:
    ids = ["it's", 'a"b', "x\\", "' OR ''='", "é", "%"]
    await store.commit("fruits", [put(id_) for id_ in ids], "h")
    made = await store.commit("fruits", [gone(id_) for id_ in ids[:3]], "h")
    assert made is not None
    assert [r.annotation_id for r in await store.rows("fruits", 2)] == sorted(ids[3:])


async def test_datasets_do_not_mix(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1")], "h")
    await store.commit("fruits2", [put("2")], "h")
    assert await store.rows("fruits", 1) == [row("1")]
    assert await store.rows("fruits2", 1) == [row("2")]


async def test_commits_at_once_lose_nothing_and_number_without_gaps(store: SnapshotStore) -> None:
    await asyncio.gather(*(store.commit("fruits", [put(str(n)), put("shared", task_id=str(n))], "h") for n in range(5)))
    versions = await store.versions("fruits")
    assert [info.number for info in versions] == [1, 2, 3, 4, 5]
    assert len(await store.rows("fruits", 5)) == 6


async def test_a_commit_that_expects_a_version_is_made_on_top_of_that_one_only(store: SnapshotStore) -> None:
    assert await store.newest("fruits") is None
    first = await store.commit("fruits", [put("1"), put("2")], "h", expected=0)
    assert first is not None
    assert await store.newest("fruits") == first
    for late in (0, 2):
        with pytest.raises(Conflict, match=f"v{late}"):
            await store.commit("fruits", [put("1", task_id="old")], "h", expected=late)
    second = await store.commit("fruits", [put("1", task_id="new"), gone("2")], "h", expected=1)
    with pytest.raises(Conflict):
        await store.commit("fruits", [put("1", task_id="old"), put("2")], "h", expected=1)
    assert await store.newest("fruits") == second
    assert await store.rows("fruits", 2) == [row("1", task_id="new")]
    assert await store.commit("fruits", [put("1", task_id="new")], "h", expected=2) is None


@pytest.mark.parametrize("emptied", [False, True], ids=["with rows", "emptied"])
async def test_of_many_that_expect_one_version_one_commits(store: SnapshotStore, emptied: bool) -> None:
    await store.commit("fruits", [put("1")], "h")
    if emptied:
        await store.commit("fruits", [gone("1")], "h")
    number = 2 if emptied else 1
    some = (store.commit("fruits", [put("1", task_id=str(n)), put(str(n + 5))], "h", expected=number) for n in range(4))
    ended = await asyncio.gather(*some, return_exceptions=True)
    (made,) = [each for each in ended if isinstance(each, VersionInfo)]
    assert [type(each) for each in ended if each is not made] == [Conflict] * 3
    assert len(await store.rows("fruits", made.number)) == 2


async def test_what_maintenance_does_is_expected(store: SnapshotStore) -> None:
    for number in range(MANY + 1):
        await store.commit("fruits", [put(str(number))], "h")
    await store.maintain("fruits")
    made = await store.commit("fruits", [put("new")], "h", expected=MANY + 1)
    assert made is not None
    assert (made.number, made.inserted, made.rows) == (MANY + 2, 1, MANY + 2)


async def test_latest_follows_and_other_tags_stay_until_they_are_moved(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1")], "h")
    await store.tag("fruits", "production", 1)
    await store.tag("fruits", "best.so-far_2", 1)
    await store.commit("fruits", [put("2")], "h")
    assert await store.tags("fruits") == {"latest": 2, "production": 1, "best.so-far_2": 1}
    for number in (2, 2, 1, 2):
        await store.tag("fruits", "production", number)
    assert await store.tags("fruits") == {"latest": 2, "production": 2, "best.so-far_2": 1}


@pytest.mark.parametrize("name", ["latest", "v3", "v03", "", "a b", "a/b", "..", "ü", "x.lock"])
async def test_a_name_that_is_no_tag_is_refused(store: SnapshotStore, name: str) -> None:
    await store.commit("fruits", [put("1")], "h")
    with pytest.raises(Rejected, match="cannot be a tag"):
        await store.tag("fruits", name, 1)


async def test_a_version_that_is_not_there_is_refused_and_the_newest_named(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1")], "h")
    for asked in (store.rows("fruits", 2), store.tag("fruits", "x", 2), store.diff("fruits", 1, 2)):
        with pytest.raises(Rejected, match="no version v2: the newest is v1"):
            await asked
    assert await store.tags("fruits") == {"latest": 1}


async def test_diff_tells_ids_and_label_counts_of_submitted_rows(store: SnapshotStore) -> None:
    first = [put("1"), put("2", labels=("cat", "dog")), put("3"), put("4", status=RowStatus.SKIPPED, labels=("owl",))]
    await store.commit("fruits", first, "h")
    await store.commit("fruits", [put("2", labels=("owl",)), gone("3")], "h")
    await store.commit("fruits", [put("5", labels=("owl",))], "h")
    diff = await store.diff("fruits", 1, 3)
    assert _ids(diff) == (("5",), ("2",), ("3",))
    assert (diff.before.labels, diff.after.labels) == ({"cat": 3, "dog": 1}, {"cat": 1, "owl": 2})


async def test_diff_goes_backwards_from_nothing_and_to_itself(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1"), put("2")], "h")
    await store.commit("fruits", [put("1", task_id="7"), gone("2"), put("3")], "h")
    back = await store.diff("fruits", 2, 1)
    assert _ids(back) == (("2",), ("1",), ("3",))
    everything = await store.diff("fruits", 0, 2)
    assert _ids(everything) == (("1", "3"), (), ())
    assert everything.before.labels == {}
    same = await store.diff("fruits", 2, 2)
    assert _ids(same) == ((), (), ())


async def test_diff_sees_what_went_and_came_back(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1"), put("2"), put("3")], "h")
    await store.commit("fruits", [gone("1"), gone("2"), put("3", task_id="7")], "h")
    await store.commit("fruits", [put("1"), put("2", task_id="7"), put("3")], "h")
    diff = await store.diff("fruits", 1, 3)
    assert _ids(diff) == ((), ("2",), ())


async def test_a_version_is_found_by_number_tag_and_latest(store: SnapshotStore) -> None:
    with pytest.raises(Rejected, match="dataset 'fruits' has no versions yet"):
        await store.find("fruits", "latest")
    for number in range(1, 4):
        await store.commit("fruits", [put(str(number))], "h")
    await store.tag("fruits", "best", 2)
    found = [(await store.find("fruits", name)).number for name in ("v1", "best", "latest")]
    assert found == [1, 2, 3]
    with pytest.raises(Rejected, match="has no tag 'worst'; there is: best, latest, and versions as in v1"):
        await store.find("fruits", "worst")
    with pytest.raises(Rejected, match="has no version v9: the newest is v3"):
        await store.find("fruits", "v9")


async def test_every_move_of_a_tag_is_in_its_history(store: SnapshotStore, clock: FakeClock) -> None:
    for number in range(1, 3):
        await store.commit("fruits", [put(str(number))], "h")
    await store.tag("fruits", "best", 1, by="ann@desk")
    clock.advance(60)
    for number in (1, 2, 2):
        await store.tag("fruits", "best", number, by="bob@desk")
    await store.tag("fruits", "old", 1, by="ann@desk")
    for _ in range(2):
        await store.untag("fruits", "best", by="ann@desk")
    now = clock.now()
    moves = [
        TagMove(1, "best", 1, now - 60, "ann@desk"),
        TagMove(2, "best", 2, now, "bob@desk"),
        TagMove(3, "old", 1, now, "ann@desk"),
        TagMove(4, "best", None, now, "ann@desk"),
    ]
    assert await store.tag_moves("fruits") == moves
    assert await store.tag_moves("fruits", after=2) == moves[2:]
    assert await store.tag_moves("fruits", after=4) == []
    assert await store.tags("fruits") == {"latest": 2, "old": 1}


async def test_a_tag_moves_only_from_where_it_is_expected(store: SnapshotStore) -> None:
    for number in range(1, 4):
        await store.commit("fruits", [put(str(number))], "h")
    with pytest.raises(Conflict, match="tag 'best' is not set, not at v1: look at its history and decide again"):
        await store.tag("fruits", "best", 2, expected=1)
    await store.tag("fruits", "best", 1, expected=0)
    with pytest.raises(Conflict, match="tag 'best' points at v1, not unset"):
        await store.tag("fruits", "best", 2, expected=0)
    await store.tag("fruits", "best", 2, expected=1)
    await store.tag("fruits", "best", 2, expected=1)  # the same again, its answer was lost
    for asked in (store.tag("fruits", "best", 3, expected=1), store.untag("fruits", "best", expected=1)):
        with pytest.raises(Conflict, match="tag 'best' points at v2, not at v1"):
            await asked
    await store.untag("fruits", "best", expected=2)
    assert await store.tags("fruits") == {"latest": 3}
    assert len(await store.tag_moves("fruits")) == 3


async def test_of_many_who_move_a_tag_from_one_version_one_does(store: SnapshotStore) -> None:
    for number in range(1, 5):
        await store.commit("fruits", [put(str(number))], "h")
    moves = [store.tag("fruits", "best", number, by=str(number), expected=0) for number in range(1, 5)]
    outcomes = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3
    (move,) = await store.tag_moves("fruits")
    assert (await store.tags("fruits"))["best"] == move.number == int(move.by)


async def versions_a_day_apart(store: SnapshotStore, clock: FakeClock, count: int) -> None:
    for number in range(1, count + 1):
        clock.advance(DAY)
        await store.commit("fruits", [put(str(number)), put("same", task_id=str(number))], "h")


async def test_garbage_collection_takes_what_nothing_keeps(store: SnapshotStore, clock: FakeClock) -> None:
    await versions_a_day_apart(store, clock, 8)
    await store.tag("fruits", "best", 2)
    keep = Retention(versions=2, age=3.5 * DAY)  # v7 and v8; v5 to v8
    planned = await store.collect_garbage("fruits", keep, dry_run=True)
    assert [info.number for info in await store.versions("fruits")] == [1, 2, 3, 4, 5, 6, 7, 8]
    taken = await store.collect_garbage("fruits", keep)
    assert planned == taken
    assert taken.versions == (1, 3, 4)
    assert [info.number for info in await store.versions("fruits")] == [2, 5, 6, 7, 8]
    assert [len(await store.rows("fruits", number)) for number in (2, 5, 6, 7, 8)] == [3, 6, 7, 8, 9]
    assert (await store.collect_garbage("fruits", keep)).versions == ()


async def test_a_collected_version_is_told_wherever_it_is_asked_for(store: SnapshotStore, clock: FakeClock) -> None:
    await versions_a_day_apart(store, clock, 4)
    await store.collect_garbage("fruits", Retention(versions=2, age=0))
    await store.tag("fruits", "later", 3)
    clock.advance(DAY)
    for asked in (
        store.rows("fruits", 2),
        store.tag("fruits", "x", 2),
        store.diff("fruits", 2, 4),
        store.restore("fruits", 2),
        store.find("fruits", "v2"),
    ):
        line = "v2 of 'fruits' was removed by garbage collection on 1970-01-16; the oldest kept is v3"
        with pytest.raises(Rejected, match=line):
            await asked
    assert await store.tags("fruits") == {"latest": 4, "later": 3}
    assert (await store.diff("fruits", 0, 4)).deleted == ()


async def test_the_newest_is_never_collected_and_numbers_go_on(store: SnapshotStore, clock: FakeClock) -> None:
    await versions_a_day_apart(store, clock, 3)
    assert (await store.collect_garbage("fruits", Retention(versions=0, age=0))).versions == (1, 2)
    made = await store.commit("fruits", [gone("1"), put("same", task_id="9")], "h")
    assert made is not None
    assert (made.number, made.inserted, made.updated, made.deleted) == (4, 0, 1, 1)
    assert (await store.collect_garbage("fruits", Retention(versions=0, age=0))).versions == (3,)
    assert [info.number for info in await store.versions("fruits")] == [4]
    assert (await store.collect_garbage("empty", Retention())).versions == ()


async def test_a_restored_version_holds_what_the_old_one_holds(store: SnapshotStore) -> None:
    await store.commit("fruits", [put("1", split="train"), put("2"), put("3")], "h1")
    await store.commit("fruits", [gone("1"), put("2", task_id="7"), put("4")], "h2")
    made = await store.restore("fruits", 1, by="ann@desk")
    assert made is not None
    assert (made.name, made.restored_from, made.by) == ("v3", 1, "ann@desk")
    assert (made.rows, made.inserted, made.updated, made.deleted) == (3, 1, 1, 1)
    assert made.label_config_hash == digest("h1")
    assert await store.rows("fruits", 3) == await store.rows("fruits", 1)
    assert await store.versions("fruits") == [*(await store.versions("fruits"))[:2], made]
    assert [await store.restore("fruits", number) for number in (1, 3)] == [None, None]
    again = await store.commit("fruits", [put("5")], "h1")
    assert again is not None
    assert (again.number, again.restored_from) == (4, None)


async def test_what_is_not_there_is_not_restored(store: SnapshotStore) -> None:
    with pytest.raises(Rejected, match="no version v1: it has no versions yet"):
        await store.restore("fruits", 1)
    await store.commit("fruits", [put("1")], "h")
    with pytest.raises(Rejected, match="no version v2: the newest is v1"):
        await store.restore("fruits", 2)


async def test_maintenance_changes_nothing_that_is_read(store: SnapshotStore) -> None:
    assert await store.maintain("empty") is False
    for number in range(MANY + 2):
        await store.commit("fruits", [put(str(number)), put("same", task_id=str(number)), gone(str(number - 3))], "h")
    versions = await store.versions("fruits")
    rows = [await store.rows("fruits", info.number) for info in versions]
    diffs = [await store.diff("fruits", number, len(versions)) for number in range(len(versions))]
    await store.maintain("fruits")
    assert await store.maintain("fruits") is False
    assert await store.versions("fruits") == versions
    assert [await store.rows("fruits", info.number) for info in versions] == rows
    assert [await store.diff("fruits", number, len(versions)) for number in range(len(versions))] == diffs
    assert await store.commit("fruits", [put("same", task_id=str(MANY + 1))], "h") is None
    made = await store.commit("fruits", [put("new"), put("same", task_id="9")], "h")
    assert made is not None
    assert (made.number, made.inserted, made.updated, made.deleted) == (len(versions) + 1, 1, 1, 0)


def _ids(diff: Diff) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return diff.inserted, tuple(one.annotation_id for one in diff.updated), diff.deleted


def _fields(made: object) -> dict[str, object]:
    names = made.__slots__  # type: ignore[attr-defined]
    return {name: getattr(made, name) for name in names if name not in {"annotation_id", "digest"}}
