"""Garbage collection dies between any two of its steps, runs twice at once, and against people who tag."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import pytest

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import Row
from syncd.ports import Retention
from syncd.snapshots import garbage
from syncd.snapshots.ledger import Ledger
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import Table
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import gone, put, row

ONE = Retention(versions=1, age=0)
TWO = Retention(versions=2, age=0)


class DiedError(Exception):
    """The process ended here."""


@pytest.fixture
def store(tmp_path: Path) -> LanceSnapshots:
    return LanceSnapshots(tmp_path.as_uri(), clock=FakeClock(), spare=0)


def table(tmp_path: Path) -> Any:
    return lance.dataset(str(tmp_path / "fruits" / "rows.lance"))


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def grown(store: LanceSnapshots, versions: int) -> list[list[Row]]:
    """Versions in which rows come, change and go; gives the rows of each."""
    for number in range(1, versions + 1):
        changes = [put(str(number)), put("same", task_id=str(number)), gone(str(number - 2))]
        await store.commit("fruits", changes, "h")
    return [await store.rows("fruits", number) for number in range(1, versions + 1)]


def die(*_: object, **__: object) -> None:
    raise DiedError


def die_later(real: Callable[..., Any], calls: int) -> Callable[..., Any]:
    left = iter(range(calls))

    def dying(*args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise DiedError
        return real(*args, **kwargs)

    return dying


STEPS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "before the decision": (Ledger, "append", die),
    "before any Lance tag is removed": (Table, "untag", die),
    "between two Lance tags": (Table, "untag", die_later(Table.untag, 1)),
    "before table versions are removed": (garbage, "remove", die),
    "before checksums are removed": (garbage, "_forget_checksums", die),
}


@pytest.mark.parametrize("step", STEPS)
async def test_the_next_collection_finishes_what_died(
    store: LanceSnapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    rows = await grown(store, 6)
    owner, name, death = STEPS[step]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, death)
        with pytest.raises(DiedError):
            await store.collect_garbage("fruits", TWO)
    left = [info.number for info in await store.versions("fruits")]
    assert left == ([1, 2, 3, 4, 5, 6] if step == "before the decision" else [5, 6])
    assert [await store.rows("fruits", number) for number in left] == [rows[number - 1] for number in left]
    await store.collect_garbage("fruits", TWO)
    assert_swept(tmp_path, await store.versions("fruits"))
    assert [await store.rows("fruits", number) for number in (5, 6)] == rows[4:]


def assert_swept(tmp_path: Path, versions: Any) -> None:
    """Nothing is left but what these versions need."""
    newest = versions[-1].table_version
    kept = [info.table_version for info in versions]
    assert [ref["version"] for ref in table(tmp_path).version_refs() if ref["version"] <= newest] == kept
    tags = {tag: found["version"] for tag, found in table(tmp_path).tags.list().items()}
    assert tags == {info.name: info.table_version for info in versions} | {"latest": newest}
    assert sorted(int(path.stem) for path in (tmp_path / "fruits" / "checksums").iterdir()) == kept


async def test_what_a_dry_run_says_comes_free_and_no_more(store: LanceSnapshots, tmp_path: Path) -> None:
    await grown(store, 8)
    await store.tag("fruits", "best", 3)
    planned = await store.collect_garbage("fruits", TWO, dry_run=True)
    before = size(tmp_path / "fruits" / "rows.lance")
    assert await store.collect_garbage("fruits", TWO) == planned
    tags = sum(180 for _ in planned.versions)  # Lance's own tag files
    freed = before - size(tmp_path / "fruits" / "rows.lance")
    assert freed - tags == pytest.approx(planned.bytes, abs=50)
    assert planned.bytes > 0


async def test_what_is_young_is_spared_on_disk_and_goes_later(tmp_path: Path) -> None:
    careful = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    await grown(careful, 4)
    versions_before = len(table(tmp_path).version_refs())
    collected = await careful.collect_garbage("fruits", ONE)
    assert (collected.versions, collected.bytes) == ((1, 2, 3), 0)
    assert len(table(tmp_path).version_refs()) == versions_before
    with pytest.raises(Rejected, match="v2 of 'fruits' was removed by garbage collection"):
        await careful.rows("fruits", 2)
    later = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock(), spare=0)
    assert (await later.collect_garbage("fruits", ONE)).bytes > 0
    assert_swept(tmp_path, await later.versions("fruits"))


async def test_rows_that_have_no_name_yet_are_left_alone(store: LanceSnapshots, tmp_path: Path) -> None:
    """A process stands still between merge and name, while others compact and collect."""
    await grown(store, 3)
    lagging = Table("fruits", table(tmp_path))
    await asyncio.to_thread(lagging.merge, [put("late")])
    table(tmp_path).optimize.compact_files()
    await store.collect_garbage("fruits", ONE)
    assert lance.dataset(str(tmp_path / "fruits" / "rows.lance"), version=lagging.version).count_rows() == 4
    made = await store.commit("fruits", [], "h")
    assert made is not None
    assert (made.number, made.inserted) == (4, 1)


async def test_a_lost_lance_tag_of_a_version_that_stays_is_set_again(store: LanceSnapshots, tmp_path: Path) -> None:
    await grown(store, 4)
    table(tmp_path).tags.delete("v3")
    table(tmp_path).tags.update("v2", 5)
    await store.collect_garbage("fruits", Retention(versions=3, age=0))
    assert_swept(tmp_path, await store.versions("fruits"))


@pytest.fixture(params=["folder", "seaweed"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> list[LanceSnapshots]:
    """Three stores on one root: as three processes would have."""
    url, options = tmp_path.as_uri(), {}
    if request.param == "seaweed":
        server: Seaweed = request.getfixturevalue("seaweed")
        url, options = server.fresh(), server.options
    return [LanceSnapshots(url, clock=FakeClock(), storage_options=options, spare=0) for _ in range(3)]


async def test_two_collections_at_once_do_what_one_does(stores: list[LanceSnapshots]) -> None:
    rows = await grown(stores[0], 8)
    outcomes = await asyncio.gather(*(store.collect_garbage("fruits", TWO) for store in stores))
    assert sorted(number for outcome in outcomes for number in outcome.versions) == [1, 2, 3, 4, 5, 6]
    assert [info.number for info in await stores[0].versions("fruits")] == [7, 8]
    assert [await stores[1].rows("fruits", number) for number in (7, 8)] == rows[6:]


async def test_a_version_is_either_tagged_or_collected(stores: list[LanceSnapshots]) -> None:
    """Random tags against random collections and a committer, at once; each tagged version stays as it was."""
    rounds = 12 if stores[0]._root.local else 4
    chance, known = random.Random(5), {}
    tagger, collector, committer = stores
    for turn in range(rounds):
        for number in range(4):
            made = await committer.commit(
                "fruits", [put(f"{turn}-{number}"), put("same", task_id=f"{turn}{number}")], "h"
            )
            assert made
            known[made.number] = await committer.rows("fruits", made.number)
        wanted = chance.sample(sorted(known)[-4:], 3)
        outcomes = await asyncio.gather(
            *(tagger.tag("fruits", f"t{turn}-{number}", number) for number in wanted),
            collector.collect_garbage("fruits", ONE),
            committer.collect_garbage("fruits", TWO),
            return_exceptions=True,
        )
        assert all(not isinstance(outcome, Exception) or isinstance(outcome, Rejected) for outcome in outcomes), (
            outcomes
        )
        tags = await tagger.tags("fruits")
        for number, outcome in zip(wanted, outcomes, strict=False):
            if outcome is None:
                assert tags[f"t{turn}-{number}"] == number
            else:
                assert f"v{number} of 'fruits' was removed" in str(outcome)
                known.pop(number, None)
        for number in set(tags.values()):
            assert await collector.rows("fruits", number) == known[number]
        known = {number: rows for number, rows in known.items() if number in tags.values()}


async def test_a_merge_that_stood_still_for_long_is_made_again(
    store: LanceSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have landed where garbage was collected meanwhile."""
    await store.commit("fruits", [put("1")], "h")
    clock, real = store._clock, Table.merge

    def slow(self: Table, changes: Any, *check: Any) -> bool:
        clock.advance(2000)  # type: ignore[attr-defined]
        return real(self, changes, *check)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "merge", slow)
        with pytest.raises(Retryable, match="stood still for 2000 s: it has to be made again"):
            await store.commit("fruits", [put("2")], "h")
    made = await store.commit("fruits", [put("2")], "h")
    assert made is not None
    assert await store.rows("fruits", 2) == [row("1"), row("2")]
