"""Nothing is lost and nothing is doubled when something in between dies."""

import random
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.acceptance.site import Site, choice, until
from tests.label_studio import LabelStudioServer

KILLS = 20


@pytest.mark.timeout(900)
def test_killed_20_times_while_300_files_arrive_and_20_times_while_100_are_annotated(site: Site) -> None:
    chance = random.Random(20)
    names = [f"{n:03}.jpg" for n in range(300)]
    bursts = [names[:205], *(names[start : start + 5] for start in range(205, 300, 5))]
    assert len(bursts) == KILLS
    for burst in bursts:
        _kill_while(site, partial(site.drop, burst), chance)
    daemon = site.start()
    until("300 tasks", lambda: len(site.images()) >= 300, timeout=120)
    until("nothing waits", lambda: _idle(site))
    assert site.images() == names, "each file has exactly one task"
    site.kill(daemon)

    tasks = sorted(int(task["id"]) for task in site.tasks())[:100]
    for start in range(0, 100, 100 // KILLS):
        _kill_while(site, partial(_submit, site, tasks[start : start + 100 // KILLS]), chance)
    daemon = site.start()
    until("100 rows", lambda: len(site.rows()) >= 100, timeout=120)
    until("nothing waits", lambda: _idle(site))
    rows = site.rows()
    assert sorted(int(row["task_id"]) for row in rows) == tasks
    assert len({row["annotation_id"] for row in rows}) == len(rows) == 100
    assert site.images() == names, "still each once"
    numbers = [int(version["version"][1:]) for version in site.json("snapshot", "list", "photos")]
    assert numbers == list(range(1, len(numbers) + 1)), "versions without gaps"
    assert site.stop(daemon) == 0


def _kill_while(site: Site, happening: Callable[[], None], chance: random.Random) -> None:
    """Kill the daemon, once it runs, at a random moment while something happens or shortly after."""
    daemon = site.start()
    going_on = threading.Thread(target=happening)
    going_on.start()
    time.sleep(chance.uniform(0.0, 1.0))
    site.kill(daemon)
    going_on.join()


@pytest.mark.timeout(600)
def test_label_studio_stopped_for_a_minute_in_the_middle(
    make_site: Callable[..., Site], own_label_studio: Callable[..., LabelStudioServer]
) -> None:
    studio = own_label_studio()
    site = make_site(studio)
    site.start()
    names = [f"{n:03}.jpg" for n in range(300)]
    site.drop(names[:100])
    until("the first tasks", lambda: len(site.tasks()) == 100)
    tasks = [int(task["id"]) for task in site.tasks()]
    _submit(site, tasks[:50])
    studio.kill()
    down = time.monotonic()
    site.drop(names[100:])
    time.sleep(max(0.0, 60 - (time.monotonic() - down)))  # the outage itself, not a wait for something
    studio.start()
    _submit(site, tasks[50:])
    until("300 tasks", lambda: len(site.images()) >= 300, timeout=120)
    until("100 rows", lambda: len(site.rows()) >= 100, timeout=120)
    until("nothing waits", lambda: _idle(site), timeout=120)
    assert site.images() == names
    assert sorted(row["task_id"] for row in site.rows()) == sorted(str(task) for task in tasks)


def _submit(site: Site, tasks: list[int]) -> None:
    for number, task in enumerate(tasks):
        site.person.submit(task, choice(("cat", "dog")[number % 2]))


def _idle(site: Site) -> bool:
    return all(row["waiting"] == 0 and row["staged"] == 0 for row in site.json("status"))
