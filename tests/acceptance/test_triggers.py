"""Triggers with the real program: a receiver that fails first, a training that is started, an export that appears."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tests.acceptance.site import Site, choice, until
from tests.known_secrets import signing_secret

SECRET = signing_secret("acceptance")
TRAIN = """
import json, sys
import syncd

event = json.load(sys.stdin)
snapshot = syncd.open_snapshot(sys.argv[1])
rows = list(snapshot.rows(status="submitted"))
print("trained on", event["data"]["version"], sorted(row["labels"][0] for row in rows))
raise SystemExit(0 if len(rows) > 1 else 3)
"""


class Hooks:
    """A receiver of webhooks in a thread; the first answers are as `failing` says."""

    def __init__(self, failing: list[int]) -> None:
        self.failing = failing
        self.events: list[dict[str, Any]] = []
        self.tries = 0
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event = Verifier(SECRET).verify(body, dict(self.headers))
                hooks.tries += 1
                status = hooks.failing.pop(0) if hooks.failing else 204
                if status == 204:
                    hooks.events.append(event)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?token=in-the-url"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    one = Hooks(failing=[503, 500])
    yield one
    one.close()


@pytest.fixture
def triggered(site: Site, hooks: Hooks) -> Site:
    (site.home / "secret").write_text(SECRET)
    (site.home / "secret").chmod(0o600)
    (site.home / "train.py").write_text(TRAIN)
    site.configure(
        extra=f"""
[deliveries]
look_every = 0.5
first = 0.2
longest = 1
[datasets.photos.triggers.notify]
type = "webhook"
on = ["version", "tag:production"]
url = "{hooks.url}"
secrets = [{{ file = "{site.home}/secret" }}]
[datasets.photos.triggers.retrain]
type = "command"
command = ["{sys.executable}", "train.py", "{{uri}}"]
[datasets.photos.triggers.big]
type = "webhook"
min_changed_rows = 1000
url = "{hooks.url}"
secrets = [{{ file = "secret" }}]
[datasets.photos.triggers.publish]
type = "export"
format = "jsonl"
out = "exports"
media = "none"
"""
    )
    return site


def deliveries(site: Site, *options: str) -> dict[str, dict[str, Any]]:
    return {row["delivery"]: row for row in site.json("deliveries", "list", *options)}


def settled(site: Site, delivery: str, event: str = "delivery.succeeded") -> bool:
    """Whether the daemon's log says so: asking a command takes seconds each time."""
    lines = (json.loads(line) for line in site.log().splitlines() if line.startswith("{"))
    return any(line["event"] == event and line.get("delivery") == delivery for line in lines)


def test_a_version_and_a_moved_tag_reach_the_receiver_the_command_and_the_export(triggered: Site, hooks: Hooks) -> None:
    site = triggered
    daemon = site.start()
    site.drop(["a.jpg", "b.jpg"])
    first, second = site.settled_tasks(2)
    site.person.submit(first["id"], choice("cat"))
    until("v1 at the receiver", lambda: "photos/v1/notify" in hooks.ids)
    assert hooks.tries == 3, "503, 500, then taken"
    event = hooks.events[0]
    assert event["type"] == "io.syncd.snapshot.version.created"
    assert (event["data"]["labels"], event["data"]["rows"]) == ({"cat": 1}, 1)
    until("the training's failure", lambda: settled(site, "photos/v1/retrain", "delivery.failed"))

    site.person.submit(second["id"], choice("dog"))
    until("v2 trained on", lambda: settled(site, "photos/v2/retrain"))
    until("v2 published", lambda: settled(site, "photos/v2/publish"))
    published = site.home / "exports" / "photos" / "v2"
    text = "".join(path.read_text() for path in sorted(published.rglob("*.jsonl")))
    assert len(text.splitlines()) == 2

    assert site.cli("snapshot", "tag", "photos", "v1", "production").returncode == 0
    until("the tag at the receiver", lambda: any(e["subject"] == "production" for e in hooks.events))
    (moved,) = [e for e in hooks.events if e["subject"] == "production"]
    assert moved["data"]["uri"].endswith("/photos@v1")

    before = len(hooks.events)
    done = site.cli("deliveries", "redeliver", "photos/v1/notify")
    assert done.returncode == 0, done.stderr
    until("the redelivery", lambda: len(hooks.events) > before)
    assert hooks.events[-1] == event, "the same event, with the same id"
    assert site.stop(daemon) == 0
    _check_the_log(site)


def _check_the_log(site: Site) -> None:
    """What the commands tell of all this, and that no secret is in it."""
    shown = deliveries(site)
    standing = {id_: row["status"] for id_, row in shown.items() if "tag-" not in id_}
    assert standing == {
        "photos/v1/notify": "delivered",
        "photos/v2/notify": "delivered",
        "photos/v1/retrain": "failed",
        "photos/v2/retrain": "delivered",
        "photos/v1/big": "passed-over",
        "photos/v2/big": "passed-over",
        "photos/v1/publish": "delivered",
        "photos/v2/publish": "delivered",
    }
    assert shown["photos/v1/retrain"]["last"].startswith("exit code 3")
    assert shown["photos/v2/big"]["last"] == "2 rows changed since it last fired, 1000 are wanted"
    webhook = site.json("deliveries", "show", "photos/v1/notify")
    outcomes = ["503 Service Unavailable", "500 Internal Server Error", "204 No Content", "204 No Content"]
    assert [one["outcome"] for one in webhook["log"]] == outcomes
    training = site.cli("deliveries", "show", "photos/v2/retrain").stdout
    assert "said: trained on v2 ['cat', 'dog']\n" in training
    for secret in (SECRET, SECRET.removeprefix("whsec_"), "in-the-url", "v1,"):
        assert not any(secret in text for text in (site.log(), json.dumps(shown), json.dumps(webhook), training))


def test_a_training_that_runs_when_the_daemon_stops_is_ended_and_starts_again_with_the_next(triggered: Site) -> None:
    site = triggered
    train = site.home / "train.py"
    train.write_text("import os, time; print(os.getpid(), file=open('runs', 'a'), flush=True); time.sleep(600)")

    def runs() -> list[str]:
        return (site.home / "runs").read_text().split() if (site.home / "runs").exists() else []

    site.config.write_text(site.config.read_text() + "[shutdown]\ngrace = 0.5\n")
    daemon = site.start()
    site.drop(["a.jpg"])
    (task,) = site.settled_tasks(1)
    site.person.submit(task["id"], choice("cat"))
    until("the training", runs)
    assert site.stop(daemon) == 0
    assert not Path(f"/proc/{runs()[0]}").exists()
    site.start()
    until("the training again", lambda: len(runs()) == 2)
    log = site.json("deliveries", "show", "photos/v1/retrain")
    assert (log["status"], log["last"]) == ("waiting", "ended with the daemon; comes again")


def test_events_survive_a_kill_and_a_receiver_that_is_down(triggered: Site, hooks: Hooks) -> None:
    site = triggered
    hooks.failing = [503] * 10_000
    daemon = site.start()
    site.drop(["a.jpg"])
    (task,) = site.settled_tasks(1)
    site.person.submit(task["id"], choice("cat"))
    until("a try", lambda: hooks.tries > 1)
    site.kill(daemon)
    site.start()
    tries = hooks.tries
    until("another try", lambda: hooks.tries > tries)
    hooks.failing = []
    until("the event", lambda: hooks.ids == ["photos/v1/notify"])


def test_what_cannot_work_ends_the_start_with_one_clear_line(triggered: Site) -> None:
    site = triggered
    (site.home / "secret").write_text("whsec_tooshort")
    done = site.cli("run")
    assert done.returncode == 78
    assert "datasets.photos.triggers.notify.secrets.0" in done.stderr
    assert "tooshort" not in done.stderr


def test_unknown_deliveries_and_misspelt_options_are_named(triggered: Site) -> None:
    site = triggered
    done = site.cli("deliveries", "redeliver", "photos/v9/notify")
    assert done.returncode == 1
    assert "no delivery photos/v9/notify; `syncd deliveries list` shows what there is" in done.stderr
    assert site.json("deliveries", "list") == []
    site.config.write_text(site.config.read_text().replace("min_changed_rows", "min_changes_rows"))
    done = site.cli("deliveries", "list")
    assert done.returncode == 78
    assert "datasets.photos.triggers.big.min_changes_rows: is no field; did you mean min_changed_rows?" in done.stderr
