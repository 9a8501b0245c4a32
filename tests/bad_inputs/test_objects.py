"""Rows 34 and 37: objects that are gone or refused when they are read, and those that would fill the memory."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from syncd.domain.errors import Rejected, Retryable
from syncd.domain.labels import label_config
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.model import Observation, RowStatus
from syncd.stores.folder import FolderStore
from syncd.stores.memory import MemoryStore
from tests.bad_inputs.raw import bounded_memory
from tests.flows.world import BUCKET, CAT, XML, World

TEXT = label_config("text-classification", ["cat", "dog"])
GB = 10**9


class Refusing(MemoryStore):
    """Says 403 to whoever reads one of its objects, as often as it is told to."""

    refusals = 3

    async def get(self, key: str, **how: Any) -> bytes:
        if key == "refused.txt" and self.refusals:
            self.refusals -= 1
            raise Retryable("the bucket refused it (403)")
        return await super().get(key, **how)


async def test_an_object_that_may_not_be_read_is_tried_again_and_holds_up_no_other() -> None:
    world = World(xml=TEXT)
    store = Refusing(BUCKET, world.clock)
    world.store = world.dataset.stores[BUCKET] = store  # type: ignore[index]
    await world.open()
    for key in ("refused.txt", *(f"{n}.txt" for n in range(20))):
        await world.put(key, key.encode())
    await world.work()
    assert set(world.tasks()) == {f"{n}.txt" for n in range(20)}
    assert await world.state.dead_letters() == []
    await world.work(seconds=600)
    assert (store.refusals, len(world.tasks()["refused.txt"])) == (0, 1)


@pytest.mark.parametrize("xml", [XML, TEXT], ids=["referenced", "read"])
async def test_an_object_that_is_gone_before_its_import_makes_no_task_and_holds_up_no_other(xml: str) -> None:
    world = await World(xml=xml).open()
    for key in ("told.txt", "untold.txt", "there.txt"):
        ref, _ = world.store.put(key, b"x")
        await world.saw(ref, Observation(world.clock.now()))  # as most senders say it: look at the object
    await world.delete("told.txt")
    world.store.delete("untold.txt")
    await world.work(seconds=60)
    assert set(world.tasks()) == {"there.txt"}
    assert await world.state.dead_letters() == []
    assert await world.state.backlog() == []


async def test_a_text_that_goes_while_it_is_read_is_no_task_and_holds_up_no_other() -> None:
    world = await World(xml=TEXT).open()
    ref, seen = world.store.put("a.txt", b"x")
    world.store.delete("a.txt")
    await world.saw(ref, seen)  # says enough: it is not looked at
    await world.put("b.txt", b"x")
    await world.work(seconds=60)
    assert set(world.tasks()) == {"b.txt"}
    assert await world.state.dead_letters() == []
    assert await world.state.backlog() == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of memory")
async def test_a_text_of_two_gigabytes_in_one_line_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "one line.txt").open("wb") as file:
        file.truncate(2 * GB)  # a hole: it takes no room on the disk
    started = time.perf_counter()
    with bounded_memory(), pytest.raises(Rejected, match="larger than the 1000000 bytes allowed"):
        await FolderStore(tmp_path).get("one line.txt", limit=1_000_000)
    assert time.perf_counter() - started < 2


async def test_a_label_config_that_changes_while_answers_are_on_their_way_judges_each_by_the_one_it_names() -> None:
    """Row 43: a row keeps the config it was judged by; what the new one forbids is kept apart, and not lost."""
    world = await World().open()
    for key in ("before.jpg", "under way.jpg"):
        await world.put(key)
    await world.work()
    old, new = world.dataset.config, parse_label_config(label_config("image-classification", ["dog", "unicorn"]))
    answers = {}
    for key in ("before.jpg", "under way.jpg"):
        answers[key] = world.person.submit(world.task(key), CAT)
        await world.webhook(world.task(key))
        await world.work(seconds=61)
        world.dataset.config = new
    rows = await world.rows()
    found = {key: (rows[answer].status, rows[answer].label_config_hash) for key, answer in answers.items()}
    assert found == {
        "before.jpg": (RowStatus.SUBMITTED, old.hash),
        "under way.jpg": (RowStatus.INVALID, new.hash),
    }
