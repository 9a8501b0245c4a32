"""Commits that expect a version, on a real Lance table: nothing old gets over what is newer, whoever dies or sleeps."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from syncd.domain.errors import Conflict
from syncd.snapshots import merging
from syncd.snapshots.names import Names
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put, row

OLD, NEW = put("1", task_id="old"), put("1", task_id="new")


@pytest.fixture
def stores(tmp_path: Path) -> tuple[LanceSnapshots, LanceSnapshots]:
    """Two processes."""
    return LanceSnapshots(tmp_path.as_uri(), clock=FakeClock()), LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())


class DiedError(Exception):
    """The process ended here."""


def die(*_: object) -> None:
    raise DiedError


@pytest.mark.parametrize("before", [[], [put("1")], [put("1"), put("2")]], ids=["no table", "one row", "rows"])
async def test_rows_without_a_name_yet_are_named_and_count_as_another_version(
    stores: tuple[LanceSnapshots, LanceSnapshots], monkeypatch: pytest.MonkeyPatch, before: list[Any]
) -> None:
    """Who wakes here read before the rows came, and their version has no number yet."""
    sleeper, other = stores
    if before:
        await other.commit("fruits", before, "h")
    read = await sleeper.newest("fruits")
    number = read.number if read else 0
    with monkeypatch.context() as patch:
        patch.setattr(Names, "create", die)
        with pytest.raises(DiedError):
            await other.commit("fruits", [NEW], "h", expected=number)
    with pytest.raises(Conflict):
        await sleeper.commit("fruits", [OLD], "h", expected=number)
    newest = await sleeper.newest("fruits")
    assert newest is not None
    assert newest.number == number + 1
    assert row("1", task_id="new") in await sleeper.rows("fruits", newest.number)


BEFORE = {"rows": [[put("1"), put("2")]], "emptied": [[put("1")], [gone("1")]], "no table": []}


@pytest.mark.parametrize("before", BEFORE)
async def test_another_commit_between_the_look_and_the_merge_ends_it(
    stores: tuple[LanceSnapshots, LanceSnapshots], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """The narrowest gap there is: the fragments are written, only Lance's commit is missing."""
    sleeper, _ = stores
    for changes in BEFORE[before]:
        await sleeper.commit("fruits", changes, "h")
    number = len(BEFORE[before])
    asleep = _falls_asleep_once(monkeypatch, lambda: _other_process(tmp_path, number))
    with pytest.raises(Conflict):
        await sleeper.commit("fruits", [OLD, put("9")], "h", expected=number)
    assert asleep == [True]
    newest = await sleeper.newest("fruits")
    assert newest is not None
    rows = await sleeper.rows("fruits", newest.number)
    assert (newest.number, row("1", task_id="new") in rows, row("9") in rows) == (number + 1, True, False)


def _falls_asleep_once(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> list[bool]:
    slept: list[bool] = []
    written = merging._written

    def sleeps(*args: Any) -> Any:
        made = written(*args)
        if not slept:
            slept.append(True)
            meanwhile()
        return made

    monkeypatch.setattr(merging, "_written", sleeps)
    return slept


def _other_process(folder: Path, number: int) -> None:
    async def commit() -> None:
        await LanceSnapshots(folder.as_uri(), clock=FakeClock()).commit("fruits", [NEW], "h", expected=number)

    other = Thread(target=lambda: asyncio.run(commit()))
    other.start()
    other.join()


async def test_expecting_costs_no_request_more(
    stores: tuple[LanceSnapshots, LanceSnapshots], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found before the rows were read is not asked for again."""
    store, _ = stores
    await store.commit("fruits", [put("1")], "h")
    asked: list[int] = []
    real = Names.get

    def asking(self: Names, number: int) -> Any:
        asked.append(number)
        return real(self, number)

    monkeypatch.setattr(Names, "get", asking)
    await store.commit("fruits", [put("2")], "h")
    without, asked[:] = list(asked), []
    newest = await store.newest("fruits")
    assert newest is not None
    await store.commit("fruits", [put("3")], "h", expected=newest.number)
    assert len(asked) == len(without)
