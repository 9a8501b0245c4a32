"""`syncd reconcile`, `dataset diff`, `quarantine` and `status`, on the real assembly, with no daemon beside them."""

import asyncio
import json
import os
from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from syncd.cli import app, common
from syncd.cli.common import printable
from syncd.config import load_config
from syncd.domain.model import Kind, NewTask, ObjectRef, Observation
from syncd.domain.notifications import BadEvent
from syncd.flows.reconcile import objects
from syncd.runtime.metrics import metrics_page
from syncd.service.assembly import assemble
from tests.service.memory_site import Site

DATASET = """
[datasets.photos]
annotator = "studio"
sources = ["files"]
task = "image-classification"
labels = ["cat", "dog"]
on_change = "replace"
on_delete = "retire"
"""


def run(site: Site, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--config", str(site.config)])


def rows(site: Site, *words: str) -> list[dict[str, Any]]:
    done = run(site, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def work(site: Site, keys: Sequence[str]) -> None:
    """Let the daemon run until each of these keys, and no other, has its task, and that is written down."""

    async def main() -> None:
        async with site.running():
            await site.until(lambda: sorted(keys_of(site)) == sorted(keys))
            while await marked(site):
                await asyncio.sleep(0.02)

    asyncio.run(main())


def keys_of(site: Site) -> list[str]:
    dataset = site.dataset("photos")
    return [task.new.meta["syncd"]["key"] for task in dataset.work.values()] if dataset else []


@pytest.fixture
def filled(site: Site) -> Site:
    """Three objects have their tasks."""
    site.configure(DATASET)
    for key in ("same.jpg", "changed.jpg", "gone.jpg"):
        site.put(key, b"first")
    work(site, ["same.jpg", "changed.jpg", "gone.jpg"])
    return site


def waiting(site: Site) -> int:
    """How many objects wait to be worked on, while nobody does."""
    return asyncio.run(marked(site))


async def marked(site: Site) -> int:
    """How many objects wait or are worked on."""
    async with assemble(load_config(site.config, {"HOME": str(site.home)}), exclusive=False) as parts:
        lanes = [lane for lane in await parts.state.backlog() if lane.kind is Kind.OBJECT]
        return sum(lane.pending + lane.claimed for lane in lanes)


def disturb(site: Site) -> None:
    """What a listing and a scan have to find: one of each kind."""
    site.put("new \x1b[31m[red].jpg", b"new")
    site.put("changed.jpg", b"another size")
    site.remove("gone.jpg")
    dataset = site.dataset("photos")
    assert dataset
    same = next(task.new for task in dataset.work.values() if task.new.meta["syncd"]["key"] == "same.jpg")
    by_hand = NewTask("not ours", {"image": "x"}, {"syncd": {"key": "by hand"}})
    asyncio.run(dataset.import_tasks("twice", [same, by_hand]))


def test_the_diff_shows_what_a_reconcile_would_do_and_does_none_of_it(filled: Site) -> None:
    disturb(filled)
    before = keys_of(filled)
    for _ in range(2):
        bucket, tasks, _ = rows(filled, "dataset", "diff", "photos")
        assert bucket["names"] == {"new": ["new \x1b[31m[red].jpg"], "changed": ["changed.jpg"], "gone": ["gone.jpg"]}
        assert [bucket[kind] for kind in ("seen", "new", "changed", "gone")] == [3, 1, 1, 1]
        assert [tasks[kind] for kind in ("gone", "doubled", "orphaned")] == [0, 1, 1]
        assert len(tasks["names"]["doubled"]) == len(tasks["names"]["orphaned"]) == 1
    assert keys_of(filled) == before
    assert waiting(filled) == 0


def test_names_are_shown_with_what_a_terminal_would_obey_escaped(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    disturb(filled)
    monkeypatch.setattr(common.out, "_width", 400)
    done = run(filled, "dataset", "diff", "photos")
    assert "\x1b" not in done.stdout
    assert r"new: new \x1b[31m[red].jpg" in done.stdout
    assert printable("a\x07b\u202ec é\n") == "a\\x07b\\u202ec é\\n"


def test_after_a_reconcile_and_the_daemon_the_tasks_are_the_bucket(filled: Site) -> None:
    disturb(filled)
    done = run(filled, "reconcile", "--dataset", "photos")
    assert done.exit_code == 0, done.output
    assert "3 objects" in done.stderr
    work(filled, ["same.jpg", "changed.jpg", "new \x1b[31m[red].jpg", "by hand"])
    bucket, tasks, _ = rows(filled, "dataset", "diff", "photos")
    assert [bucket[kind] for kind in ("new", "changed", "gone")] == [0, 0, 0]
    assert (tasks["doubled"], tasks["orphaned"]) == (0, 1)


def test_a_backfill_stops_where_nobody_works_and_goes_on_there(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "CHUNK", 10)
    monkeypatch.setattr(objects, "BATCH", 10)
    monkeypatch.setattr("syncd.stores.folder.PAGE", 10)
    for n in range(100):
        filled.put(f"{n:03}.jpg", b"x")
    monkeypatch.setenv("SYNCD_RECONCILE__MOST_WAITING", "20")
    stopped = run(filled, "reconcile", "--dataset", "photos")
    assert "start `syncd run`" in str(stopped.exception)
    assert 20 < waiting(filled) <= 40
    monkeypatch.setenv("SYNCD_RECONCILE__MOST_WAITING", "0")
    bucket, *_ = rows(filled, "reconcile", "--dataset", "photos", "--rate", "1000000")
    assert (bucket["seen"], bucket["new"]) == (103, 100)
    assert waiting(filled) == 100
    work(filled, [*(f"{n:03}.jpg" for n in range(100)), "same.jpg", "changed.jpg", "gone.jpg"])


def test_an_empty_bucket_is_refused_and_forced(filled: Site) -> None:
    for path in filled.folder.iterdir():
        path.unlink()
    refused = run(filled, "reconcile", "--json")
    assert refused.exit_code == 1
    assert "retire_limit" in json.loads(refused.stdout)[0]["refused"]
    assert waiting(filled) == 0
    assert rows(filled, "reconcile", "--force")[0]["refused"] == ""
    assert waiting(filled) == 3


def test_a_dataset_that_cannot_be_looked_at_holds_up_no_other(filled: Site) -> None:
    filled.configure(DATASET.replace("photos", "rows") + 'manifest = ["*.tasks.jsonl"]' + DATASET)

    async def made() -> None:
        async with filled.running():
            await filled.until(lambda: (rows := filled.dataset("rows")) and rows.webhooks)

    asyncio.run(made())
    filled.put("bad.tasks.jsonl", b"{nope")
    filled.put("new.jpg", b"x")
    for path in filled.folder.iterdir():
        os.utime(path, (1, 1))  # written long ago, so nobody may still be writing
    done = run(filled, "reconcile", "--json")
    found = {(row["dataset"], row["where"].partition("+")[0]): row for row in json.loads(done.stdout)}
    assert done.exit_code == 1
    assert "bad.tasks.jsonl" in found["rows", "rows"]["failed"]
    assert found["photos", filled.bucket]["new"] >= 1
    assert "error: rows: " in done.stderr
    assert "line 1 of the manifest" in done.stderr


def test_a_label_config_of_ones_own_is_listed_by_its_path(filled: Site) -> None:
    own = filled.home / "own.xml"
    own.write_text(
        '<View><Image name="i" value="$image"/><Choices name="c" toName="i"><Choice value="a"/></Choices></View>'
    )
    words = 'task = "image-classification"\nlabels = ["cat", "dog"]'
    filled.configure(DATASET.replace(words, f'label_config = "{own}"'))
    (listed,) = rows(filled, "dataset", "list")
    assert listed["task"] == str(own)


# ---------------------------------------------------------------- bad events

NUL = BadEvent("invalid_key", "a key cannot hold NUL; rename the object", b'{"key": "a\\u0000b"} \x1b[2J \xff')


def deliver(site: Site, *bad: BadEvent) -> None:
    async def main() -> None:
        async with assemble(load_config(site.config, {"HOME": str(site.home)}), exclusive=False) as parts:
            seen = (ObjectRef(site.bucket, "a.jpg"), Observation(1.0, "e", size=1))
            await parts.deliver([seen], bad, source="files")

    asyncio.run(main())


def test_bad_events_are_kept_beside_good_ones_and_counted(filled: Site) -> None:
    deliver(filled, NUL, BadEvent("a reason of its own", "", b""))
    deliver(filled, NUL)
    (status,) = rows(filled, "status")
    assert (status["quarantined"], waiting(filled)) == (2, 1)
    kept = {row["reason"]: row for row in rows(filled, "quarantine", "list")}
    assert (kept["invalid_key"]["count"], kept["invalid_key"]["source"]) == (2, "files")
    metrics = metrics_page()[0].decode()
    assert 'syncd_events_quarantined_total{reason="invalid_key",source="files"}' in metrics
    assert 'syncd_events_quarantined_total{reason="other",source="files"}' in metrics
    assert "a reason of its own" not in metrics


def test_a_bad_event_is_shown_without_harm_to_the_terminal_and_dropped(filled: Site) -> None:
    deliver(filled, NUL, BadEvent("malformed", "no key", b"{}"))
    ids = {row["reason"]: row["id"] for row in rows(filled, "quarantine", "list", "--source", "files")}
    shown = run(filled, "quarantine", "show", ids["invalid_key"])
    assert "rename the object" in shown.stdout
    assert r'{"key": "a\u0000b"} \x1b[2J \xff' in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "1 dropped" in run(filled, "quarantine", "drop", "--id", ids["invalid_key"], "--yes").stdout
    assert [row["reason"] for row in rows(filled, "quarantine", "list")] == ["malformed"]
    assert "no event x" in str(run(filled, "quarantine", "show", "x").exception)
    assert "1 dropped" in run(filled, "quarantine", "drop", "--source", "files", "--yes").stdout
    assert "Nothing is in quarantine" in run(filled, "quarantine", "list").stdout
