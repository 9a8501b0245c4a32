"""Decisions about versions: what many write at once, what is lost on the way, and what is damaged."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.errors import Conflict, Retryable
from syncd.snapshots.ledger import Entry, Ledger, ranges
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.store import LanceSnapshots
from tests.clock import FakeClock
from tests.seaweed import Seaweed
from tests.snapshots.rows import put


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path.as_uri())


def moved(tag: str, number: int) -> object:
    return lambda newest: newest.moved(tag, number, "ann", 1.0)


@given(st.sets(st.integers(1, 60)))
def test_ranges_hold_what_they_were_made_of_in_as_few_parts_as_can_be(numbers: set[int]) -> None:
    made = ranges(numbers)
    assert [number for part in made for number in part] == sorted(numbers)
    assert all(one.stop < other.start for one, other in pairwise(made))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.sampled_from("ab")), max_size=12))
def test_the_newest_entry_says_all_that_stands(decisions: list[tuple[bool, int, str]]) -> None:
    entry, tags, collected = Entry(), {}, set()
    for takes, number, tag in decisions:
        if takes:
            collected.add(number)
            entry = entry.without([number], 1.0)
        else:
            tags[tag] = number
            entry = entry.moved(tag, number, "ann", 1.0)
    assert entry.tags == tags
    assert {number for number in range(10) if entry.has_collected(number)} == collected


def test_what_is_written_is_read_back_by_another(root: Root) -> None:
    ledger = Ledger(root, "fruits")
    ledger.append(lambda newest: newest.moved("best", 3, "ann@desk", 1.5))
    written = ledger.append(lambda newest: newest.without([1, 2, 7], 2.5))
    read = Ledger(root, "fruits").newest()
    assert read == written
    assert (read.tags, read.collected, read.taken) == ({"best": 3}, (range(1, 3), range(7, 8)), read.collected)
    assert Ledger(root, "fruits").collected_at(7) == 2.5


def test_many_who_count_up_one_tag_lose_no_step(root: Root) -> None:
    def count(ledger: Ledger) -> None:
        for _ in range(10):
            ledger.append(lambda newest: newest.moved("count", newest.tags.get("count", 0) + 1, "x", 1.0))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, [Ledger(root, "fruits") for _ in range(8)]))
    assert Ledger(root, "fruits").newest().tags == {"count": 80}
    assert [move.number for move in Ledger(root, "fruits").moves()] == list(range(1, 81))


def test_an_entry_that_landed_although_its_answer_was_lost_is_ours(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Root.create

    def lost(self: Root, path: str, data: bytes) -> bool:
        real(self, path, data)
        raise Retryable("the store answered 503")

    monkeypatch.setattr(Root, "create", lost)
    ledger = Ledger(root, "fruits")
    ledger.append(moved("best", 1))  # type: ignore[arg-type]
    assert [(move.serial, move.number) for move in ledger.moves()] == [(1, 1)]


@pytest.mark.parametrize("landed", [True, False])
def test_an_entry_that_is_refused_is_looked_for(root: Root, monkeypatch: pytest.MonkeyPatch, landed: bool) -> None:
    real, answers = Root.create, iter([True])

    def refused(self: Root, path: str, data: bytes) -> bool:
        refuse = next(answers, False)
        made = real(self, path, data) if landed or not refuse else True
        return made and not refuse

    monkeypatch.setattr(Root, "create", refused)
    ledger = Ledger(root, "fruits")
    ledger.append(moved("best", 1))  # type: ignore[arg-type]
    assert [(move.serial, move.number) for move in ledger.moves()] == [(1, 1)]


def test_an_entry_that_did_not_land_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> bool:
        raise Retryable("the store answered 503")

    monkeypatch.setattr(Root, "create", down)
    with pytest.raises(Retryable, match="503"):
        Ledger(root, "fruits").append(moved("best", 1))  # type: ignore[arg-type]
    assert Ledger(root, "fruits").newest() == Entry()


def test_an_entry_removed_by_hand_leaves_what_stood_before_it(root: Root, tmp_path: Path) -> None:
    ledger = Ledger(root, "fruits")
    for number in (1, 2, 3):
        ledger.append(moved("best", number))  # type: ignore[arg-type]
    (tmp_path / "fruits" / "ledger" / "00000003.json").unlink()
    assert ledger.newest().tags == {"best": 2}
    ledger.append(moved("best", 4))  # type: ignore[arg-type]
    assert [move.number for move in ledger.moves()] == [1, 2, 4]


async def test_movers_in_several_stores_each_win_once_or_are_told(tmp_path: Path, seaweed: Seaweed) -> None:
    """Each move says what it moves from: the history is one chain, and holds just the moves that succeeded."""
    for url, options, rounds in ((tmp_path.as_uri(), {}, 12), (seaweed.fresh(), seaweed.options, 3)):
        stores = [LanceSnapshots(url, clock=FakeClock(), storage_options=options) for _ in range(3)]
        for number in range(1, 7):
            await stores[0].commit("fruits", [put(str(number))], "h")
        done = await asyncio.gather(*(mover(store, n, rounds) for n, store in enumerate(stores)))
        moves = await stores[0].tag_moves("fruits")
        assert sorted(move.by for move in moves) == sorted(by for part in done for by in part)
        chain = [0, *(move.number for move in moves)]
        assert [move.by.rpartition(" ")[2] for move in moves] == [str(number) for number in chain[:-1]]
        assert (await stores[0].tags("fruits"))["best"] == chain[-1]


async def mover(store: LanceSnapshots, index: int, rounds: int) -> list[str]:
    """Moves the tag between two versions that nobody else moves it to; says which moves succeeded."""
    done = []
    for turn in range(rounds):
        before = (await store.tags("fruits")).get("best", 0)
        number = 2 * index + (2 if before == 2 * index + 1 else 1)
        by = f"{index}.{turn} from {before}"
        with suppress(Conflict):
            await store.tag("fruits", "best", number, by=by, expected=before)
            done.append(by)
    return done
