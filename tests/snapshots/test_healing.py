"""A commit may die between any two of its steps: the next one finishes what is missing."""

import asyncio
import datetime
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import pytest
from structlog.testing import capture_logs

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import VersionInfo
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.names import Names
from syncd.snapshots.schema import SCHEMA
from syncd.snapshots.sealed import sealed, unsealed
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import Table
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put, row

FIRST = [put("1"), put("2")]
SECOND = [put("2", task_id="7"), put("3")]


class DiedError(Exception):
    """The process ended here."""


@pytest.fixture
def store(tmp_path: Path) -> LanceSnapshots:
    return LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())


def table(tmp_path: Path) -> Any:
    return lance.dataset(str(tmp_path / "fruits" / "rows.lance"))


def die(*_: object) -> None:
    raise DiedError


def die_at_tag(tag: str) -> Callable[[Table, str, int], None]:
    real = Table.tag

    def tagging(self: Table, name: str, version: int) -> None:
        if name == tag:
            raise DiedError
        real(self, name, version)

    return tagging


STEPS: dict[str, tuple[type, str, Callable[[], Callable[..., None]]]] = {
    "before the name": (Names, "create", lambda: die),
    "before the hint": (Names, "hint", lambda: die),
    "before the tag v2": (Table, "tag", lambda: die_at_tag("v2")),
    "before the tag latest": (Table, "tag", lambda: die_at_tag("latest")),
}


@pytest.mark.parametrize("again", [SECOND, [], [put("4")]], ids=["same rows", "no rows", "other rows"])
@pytest.mark.parametrize("step", STEPS)
async def test_the_next_commit_finishes_what_died(
    store: LanceSnapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, again: list[Any]
) -> None:
    await store.commit("fruits", FIRST, "h")
    owner, name, death = STEPS[step]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, death())
        with pytest.raises(DiedError):
            await store.commit("fruits", SECOND, "h")
    await store.commit("fruits", again, "h")
    versions = await store.versions("fruits")
    assert [info.number for info in versions] == list(range(1, len(versions) + 1))
    assert await store.rows("fruits", 1) == [row("1"), row("2")]
    newest = await store.rows("fruits", len(versions))
    assert newest == [row("1"), row("2", task_id="7"), row("3"), *([row("4")] if again == [put("4")] else [])]
    assert_published(tmp_path, versions)


def assert_published(tmp_path: Path, versions: list[VersionInfo]) -> None:
    tags = {tag: found["version"] for tag, found in table(tmp_path).tags.list().items()}
    assert tags == {info.name: info.table_version for info in versions} | {"latest": versions[-1].table_version}
    hint = (tmp_path / "fruits" / "latest.json").read_bytes()
    assert hint == (tmp_path / "fruits" / "versions" / f"{len(versions):08}.json").read_bytes()


async def test_rows_that_lost_their_name_get_a_version_of_their_own_with_the_next_commit(
    store: LanceSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit("fruits", FIRST, "h")
    with monkeypatch.context() as patch:
        patch.setattr(Names, "create", die)
        with pytest.raises(DiedError):
            await store.commit("fruits", SECOND, "h")
    made = await store.commit("fruits", [gone("1")], "h")
    assert made is not None
    _, healed, newest = await store.versions("fruits")
    assert newest == made
    assert (healed.inserted, healed.updated, healed.deleted) == (1, 1, 0)
    assert (made.inserted, made.updated, made.deleted) == (0, 0, 1)


async def test_a_named_version_is_reported_although_its_tags_fail(
    store: LanceSnapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise Retryable("the store is down")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(Table, "tag", down)
        made = await store.commit("fruits", FIRST, "h")
    assert made is not None
    assert made.number == 1
    assert [entry["event"] for entry in logs] == ["snapshot.tags_delayed"]
    assert await store.commit("fruits", FIRST, "h") is None
    assert_published(tmp_path, [made])


async def test_a_name_that_landed_although_its_answer_was_lost_is_ours(
    store: LanceSnapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Root.create

    def twice(self: Root, path: str, data: bytes) -> bool:
        real(self, path, data)
        return real(self, path, data)

    await store.probe()
    monkeypatch.setattr(Root, "create", twice)
    made = await store.commit("fruits", FIRST, "h")
    assert made is not None
    assert [info.number for info in await store.versions("fruits")] == [1]


async def test_a_create_that_is_refused_with_nothing_there_is_sent_again(
    store: LanceSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = Root.create, iter([True, True])

    def refuse(self: Root, path: str, data: bytes) -> bool:
        return False if next(refusals, False) else real(self, path, data)

    await store.probe()
    monkeypatch.setattr(Root, "create", refuse)
    made = await store.commit("fruits", FIRST, "h")
    assert made is not None
    assert made.number == 1


CUT = [b"", b"\0" * 400, b'{"dataset": "fruits", "num']


@pytest.mark.parametrize("left", [None, *CUT, b"7", b'{"number": null}', "an older one"])
async def test_the_newest_version_is_found_without_a_good_hint(
    store: LanceSnapshots, tmp_path: Path, left: bytes | str | None
) -> None:
    for number in range(12):
        await store.commit("fruits", [put(str(number))], "h")
    hint = tmp_path / "fruits" / "latest.json"
    hint.unlink()
    if left is not None:
        older = tmp_path / "fruits" / "versions" / "00000003.json"
        hint.write_bytes(left if isinstance(left, bytes) else older.read_bytes())
    assert await store.tags("fruits") == {"latest": 12}
    made = await store.commit("fruits", [put("x")], "h")
    assert made is not None
    assert made.number == 13


@pytest.mark.parametrize("damaged", [*CUT, b"[]", b'{"number": 2, "table_version": 3, "by_status": {}}'])
async def test_a_damaged_version_is_told_and_named_anew_once_it_is_removed(
    store: LanceSnapshots, tmp_path: Path, damaged: bytes
) -> None:
    await store.commit("fruits", FIRST, "h")
    first = (tmp_path / "fruits" / "latest.json").read_bytes()
    await store.commit("fruits", SECOND, "h")
    name = tmp_path / "fruits" / "versions" / "00000002.json"
    name.write_bytes(damaged)
    (tmp_path / "fruits" / "latest.json").write_bytes(first)  # it is written after the name is on the disk
    for asked in (store.commit("fruits", [put("4")], "h"), store.versions("fruits"), store.rows("fruits", 2)):
        with pytest.raises(Rejected, match=r"fruits/versions/00000002\.json is damaged: restore it .* remove it"):
            await asked
    assert await store.rows("fruits", 1) == [row("1"), row("2")]
    name.unlink()
    made = await store.commit("fruits", [put("4")], "h")
    assert made is not None
    assert (made.number, made.inserted, made.updated) == (3, 1, 0)
    _, again, _ = await store.versions("fruits")
    assert (again.inserted, again.updated) == (1, 1)


async def test_a_version_is_restored_from_the_copy_beside_it(store: LanceSnapshots, tmp_path: Path) -> None:
    made = await store.commit("fruits", FIRST, "h")
    name = tmp_path / "fruits" / "versions" / "00000001.json"
    name.write_bytes(b"")
    with pytest.raises(Rejected, match=r"or from fruits/latest\.json where that holds the same number"):
        await store.versions("fruits")
    name.write_bytes((tmp_path / "fruits" / "latest.json").read_bytes())
    assert await store.versions("fruits") == [made]


@pytest.mark.parametrize("damaged", [*CUT, b"[]", b'{"serial": 1}', "a flip"])
async def test_a_damaged_decision_is_told_and_can_be_made_anew(
    store: LanceSnapshots, tmp_path: Path, damaged: bytes | str
) -> None:
    await store.commit("fruits", FIRST, "h")
    await store.tag("fruits", "best", 1)
    entry = tmp_path / "fruits" / "ledger" / "00000001.json"
    entry.write_bytes(damaged if isinstance(damaged, bytes) else entry.read_bytes().replace(b"best", b"bess"))
    for asked in (store.tags("fruits"), store.tag("fruits", "best", 1), store.rows("fruits", 1)):
        with pytest.raises(Rejected, match=r"fruits/ledger/00000001\.json is damaged: restore it .* remove it"):
            await asked
    entry.unlink()
    await store.tag("fruits", "best", 1)
    assert await store.tags("fruits") == {"latest": 1, "best": 1}


async def test_what_a_newer_program_adds_to_a_name_is_passed_over(store: LanceSnapshots, tmp_path: Path) -> None:
    made = await store.commit("fruits", FIRST, "h")
    await store.tag("fruits", "best", 1)
    for path in [*(tmp_path / "fruits" / "versions").iterdir(), *(tmp_path / "fruits" / "ledger").iterdir()]:
        record = unsealed(path.read_bytes())
        assert record
        path.write_bytes(sealed(record | {"signature": {"by": "us"}}))
    assert await store.versions("fruits") == [made]
    assert await store.tags("fruits") == {"latest": 1, "best": 1}


async def test_any_flip_in_a_name_is_found(store: LanceSnapshots, tmp_path: Path) -> None:
    await store.commit("fruits", FIRST, "h")
    name = tmp_path / "fruits" / "versions" / "00000001.json"
    good = name.read_bytes()
    for place in range(0, len(good), 7):
        name.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(Rejected, match="is damaged"):
            await store.versions("fruits")


async def test_a_copy_put_beside_a_name_is_no_name(store: LanceSnapshots, tmp_path: Path) -> None:
    made = await store.commit("fruits", FIRST, "h")
    await store.tag("fruits", "best", 1)
    for path in [*(tmp_path / "fruits").rglob("0*.json")]:
        path.with_suffix(".json.bak").write_bytes(b"")
    assert await store.versions("fruits") == [made]
    assert await store.tags("fruits") == {"latest": 1, "best": 1}


async def test_versions_outlive_compaction_and_clean_up_and_numbers_stay_gapless(
    store: LanceSnapshots, tmp_path: Path
) -> None:
    for number in range(5):
        await store.commit("fruits", [put(str(number)), put("same", task_id=str(number))], "h")
    table(tmp_path).optimize.compact_files()
    table(tmp_path).cleanup_old_versions(
        older_than=datetime.timedelta(0), delete_unverified=True, error_if_tagged_old_versions=False
    )
    assert await store.commit("fruits", [put("4")], "h") is None
    made = await store.commit("fruits", [gone("0"), put("1", task_id="9"), put("5")], "h")
    assert made is not None
    assert (made.number, made.inserted, made.updated, made.deleted) == (6, 1, 1, 1)
    assert [len(await store.rows("fruits", number)) for number in range(1, 7)] == [2, 3, 4, 5, 6, 6]
    diff = await store.diff("fruits", 2, 6)
    updated = [one.annotation_id for one in diff.updated]
    assert (diff.inserted, updated, diff.deleted) == (("2", "3", "4", "5"), ["1", "same"], ("0",))


async def test_a_cancelled_commit_is_waited_for(store: LanceSnapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, release, real = threading.Event(), threading.Event(), Table.merge

    def held(self: Table, *args: Any) -> bool:
        entered.set()
        assert release.wait(30)
        return real(self, *args)

    monkeypatch.setattr(Table, "merge", held)
    caller = asyncio.create_task(store.commit("fruits", FIRST, "h"))
    await asyncio.to_thread(entered.wait, 30)
    caller.cancel()
    done, _ = await asyncio.wait([caller], timeout=0.05)
    assert not done
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert [info.number for info in await store.versions("fruits")] == [1]


async def test_a_table_removed_by_hand_is_told_and_never_replaced(store: LanceSnapshots, tmp_path: Path) -> None:
    for changes in (FIRST, SECOND):
        await store.commit("fruits", changes, "h")
    (tmp_path / "fruits" / "rows.lance").rename(tmp_path / "away")
    with pytest.raises(Rejected, match="were removed from"):
        await store.rows("fruits", 1)
    advice = r"the table of fruits@v2 was removed .* from a backup; .* `syncd dataset delete`"
    with pytest.raises(Rejected, match=advice):
        await store.commit("fruits", [put("9")], "h")
    lance.write_dataset(SCHEMA.empty_table(), str(tmp_path / "fruits" / "rows.lance"), enable_stable_row_ids=True)
    with pytest.raises(Rejected, match="the table of fruits@v2 was removed"):
        await store.commit("fruits", [put("9")], "h")


async def test_a_process_that_comes_late_to_make_the_table_overwrites_nothing(
    store: LanceSnapshots, tmp_path: Path
) -> None:
    await store.commit("fruits", FIRST, "h")
    late = Table.make(open_root(tmp_path.as_uri()), "fruits")
    assert late.rows() == [row("1"), row("2")]
    assert late.version == table(tmp_path).version


async def test_rows_of_which_a_file_is_gone_are_told_and_are_good_once_it_is_back(
    store: LanceSnapshots, tmp_path: Path
) -> None:
    await store.commit("fruits", FIRST, "h")
    (data,) = (tmp_path / "fruits" / "rows.lance" / "data").iterdir()
    data.rename(tmp_path / "away")
    with pytest.raises(Rejected, match=r"reading the snapshots of 'fruits': .* damaged .* `syncd snapshot verify`"):
        await store.rows("fruits", 1)
    (tmp_path / "away").rename(data)
    assert await store.rows("fruits", 1) == [row("1"), row("2")]
