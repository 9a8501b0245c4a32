"""A state that was lost, and one that moves: with the real program, Label Studio, an S3 server and PostgreSQL."""

import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from syncd.ports import WEBHOOK_SECRET_HEADER
from tests.acceptance.site import Site, choice, picture, until
from tests.label_studio import LabelStudioServer
from tests.postgres import Postgres
from tests.seaweed import Seaweed

OBJECTS = 200


Busy = tuple[Site, Callable[..., None]]
"""A site, and how to configure it anew."""


@pytest.fixture
def busy(make_site: Callable[..., Site], label_studio: LabelStudioServer, seaweed: Seaweed) -> Busy:
    """A site at rest: 200 objects, 60 of them answered, some retired, snapshots on S3."""
    options = ", ".join(f'{name} = "{value}"' for name, value in seaweed.options.items())
    snapshots = f'url = "{seaweed.fresh()}"\nstorage_options = {{ {options} }}\nafter_quiet = 0.5'
    site = make_site(label_studio)
    configure = partial(site.configure, on_change="replace", on_delete="retire", snapshots=snapshots)
    configure()
    daemon = site.start()
    site.drop([f"{n:03}.jpg" for n in range(OBJECTS)])
    tasks = {key_of(task): task["id"] for task in site.settled_tasks(OBJECTS)}
    for n in range(60):
        site.person.submit(tasks[f"{n:03}.jpg"], choice(("cat", "dog")[n % 2]))
    until("60 rows", lambda: row_count(site) == 60)
    for n in (0, 1, 100):
        (site.folder / f"{n:03}.jpg").unlink()
    for n in (2, 101):
        picture(site.folder / f"{n:03}.jpg", 1000 + n)
    until("as the folder", lambda: in_work(site) == folder(site))
    until("nothing waits", lambda: idle(site))
    assert site.stop(daemon) == 0
    return site, configure


def copy(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`syncd state copy`, which needs no configuration."""
    command = [sys.executable, "-m", "syncd", "state", "copy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def key_of(task: dict[str, Any]) -> str:
    key: str = task["meta"]["syncd"]["key"]
    return key


def in_work(site: Site) -> Counter[str]:
    return Counter(key_of(task) for task in site.tasks() if "syncd_retired" not in task["data"])


def folder(site: Site) -> Counter[str]:
    return Counter(path.name for path in site.folder.glob("*.jpg"))


def idle(site: Site) -> bool:
    return all(row["waiting"] == 0 and row["staged"] == 0 for row in site.json("status"))


def row_count(site: Site) -> int:
    (status,) = site.json("status")
    return int(status["rows"])


def ids(site: Site) -> set[tuple[int, str, bool]]:
    """What tells whether tasks are still the same."""
    return {(task["id"], task["data"]["syncd_key"], "syncd_retired" in task["data"]) for task in site.tasks()}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("loss", ["deleted", "damaged", "started without it"])
def test_a_lost_state_is_made_anew_and_nothing_is_doubled(busy: Busy, loss: str) -> None:
    site, configure = busy
    state = site.home / "data" / "state.db"
    before, versions = ids(site), [v["version"] for v in site.json("snapshot", "list", "photos")]
    whole = site.cli("state", "rebuild")
    assert (whole.returncode, "whole" in whole.stderr) == (78, True)
    lose(site, state, loss)

    first, other = sorted(int(task["id"]) for task in site.tasks() if not task["annotations"])[:2]
    site.person.submit(first, choice("cat"))  # nobody hears of it
    picture(site.folder / "new.jpg", 5000)
    report = site.json("state", "rebuild")
    (dataset,) = report["datasets"]
    assert (dataset["active"], dataset["retired"], dataset["rows"]) == (OBJECTS - 3, 3, 60)
    assert not any(dataset[kind] for kind in ("doubled", "unreadable", "elsewhere", "discarded", "foreign"))
    assert bool(report["aside"]) == (loss != "deleted")
    assert not report["aside"] or Path(report["aside"]).exists()

    configure(every=3600)  # what is found below is found at the start, or by a webhook
    daemon = site.start()
    until("the new task", lambda: in_work(site) == folder(site))
    until("the answer nobody heard of", lambda: row_count(site) == 61)
    done = site.cli("reconcile")
    assert done.returncode == 0, done.stderr
    until("nothing waits", lambda: idle(site))
    assert len(ids(site) - before) == 1, "only the new file has a new task"
    assert before <= ids(site)
    assert [v["version"] for v in site.json("snapshot", "list", "photos")] == [*versions, f"v{len(versions) + 1}"]
    (webhook,) = webhooks(site)
    assert WEBHOOK_SECRET_HEADER in webhook["headers"]
    site.person.submit(other, choice("dog"))
    until("the answer that a webhook told of", lambda: row_count(site) == 62)
    assert site.stop(daemon) == 0


def lose(site: Site, state: Path, how: str) -> None:
    if how == "damaged":
        body = bytearray(state.read_bytes())
        body[4096 : len(body) // 2] = b"\xff" * (len(body) // 2 - 4096)
        state.write_bytes(body)
        return
    for path in state.parent.glob("state.db*"):
        path.unlink()
    if how == "started without it":
        daemon = site.spawn()
        assert daemon.wait(60) == 78
        assert "syncd state rebuild" in site.log()


def webhooks(site: Site) -> list[dict[str, Any]]:
    project = site.person.project(site.title)
    assert project
    found: list[dict[str, Any]] = site.person._call("GET", "/api/webhooks/", params={"project": project["id"]})
    return found


@pytest.mark.timeout(300)
def test_a_state_moves_to_postgresql_and_the_daemon_goes_on(busy: Busy, postgres: Postgres) -> None:
    (site, configure), url = busy, postgres.fresh()
    before, file = ids(site), f"sqlite:///{site.home}/data/state.db"
    refused = copy(file, url.replace("postgres@", "postgres:hunter2@"))
    assert (refused.returncode, "password" in refused.stderr, "hunter2" in refused.stderr) == (78, True, False)
    copied = copy(file, url, "--json")
    assert copied.returncode == 0, copied.stderr
    again = copy(file, url)
    assert (again.returncode, "an empty state" in again.stderr) == (78, True)

    configure(extra=f'[state]\nurl = "{url}"')
    daemon = site.start()
    picture(site.folder / "new.jpg", 5000)
    until("the new task", lambda: in_work(site) == folder(site))
    done = site.cli("reconcile")
    assert done.returncode == 0, done.stderr
    until("nothing waits", lambda: idle(site))
    assert len(ids(site) - before) == 1
    running = copy(url, f"sqlite:///{site.home}/back.db")
    assert (running.returncode, "stop them first" in running.stderr) == (78, True)
    assert site.stop(daemon) == 0
    back = copy(url, f"sqlite:///{site.home}/back.db")
    assert back.returncode == 0, back.stderr
    with sqlite3.connect(site.home / "back.db") as state:
        (count,) = state.execute("SELECT count(*) FROM records WHERE state = 'active'").fetchone()
    state.close()
    assert count == sum(folder(site).values())

    configure(extra=f'[state]\nurl = "{postgres.fresh()}"')
    (dataset,) = site.json("state", "rebuild")["datasets"]
    assert (dataset["active"], dataset["rows"]) == (count, 60)
    daemon = site.start()
    until("nothing waits", lambda: idle(site))
    assert len(ids(site) - before) == 1, "from there on it goes on, too"
    assert site.stop(daemon) == 0
    twice = site.cli("state", "rebuild")
    assert (twice.returncode, "an empty state" in twice.stderr) == (78, True)
