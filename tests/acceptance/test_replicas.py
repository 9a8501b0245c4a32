"""Three `syncd run` on one PostgreSQL: they share the work, and outlive one another."""

import random
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.acceptance.balancer import balanced
from tests.acceptance.site import Site, choice, until
from tests.label_studio import LabelStudioServer, free_port
from tests.postgres import Postgres

FILES = 600
LEASE_S = 5.0
NAMES = [f"{n:03}.jpg" for n in range(FILES)]


@dataclass
class Cluster:
    """Daemons of one site, by the port that each listens on; `door` is the balancer's in front of them."""

    site: Site
    door: int
    ports: Sequence[int]
    daemons: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *ports: int) -> None:
        for port in ports:
            public = f"http://127.0.0.1:{self.door}"
            env = {"SYNCD_RECEIVER__PORT": str(port), "SYNCD_RECEIVER__PUBLIC_URL": public}
            self.daemons[port] = self.site.spawn(env=env)
        for port in ports:
            until(f"daemon on {port} ready", partial(self._ready, port), timeout=60)

    def _ready(self, port: int) -> str:
        assert self.daemons[port].poll() is None, self.site.log()[-3000:]
        return page(port, "/readyz")

    def who(self, port: int) -> str:
        """The name by which the daemon on a port goes."""
        return page(port, "/readyz").splitlines()[1].removeprefix("daemon ")

    def settled(self, port: int, kind: str) -> int:
        """How many subjects of a kind that daemon settled as done."""
        settled = rf'^syncd_subjects_settled_total{{.*kind="{kind}".*}} (\S+)$'
        found = re.findall(settled, page(port, "/metrics"), re.MULTILINE)
        return int(sum(map(float, found)))


def page(port: int, path: str) -> str:
    """What is there; empty where nobody answers well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@pytest.fixture
def cluster(make_site: Callable[..., Site], label_studio: LabelStudioServer, postgres: Postgres) -> Iterator[Cluster]:
    """Configured, and not started yet: nothing is in PostgreSQL nor in Label Studio."""
    site = make_site(label_studio)
    shared = f'[state]\nurl = "{postgres.fresh()}"\n[worker]\nbatch = 10\nlease = {LEASE_S}'
    site.configure(extra=shared)
    text = site.config.read_text().replace('admin = ""', 'admin = "receiver"')
    site.config.write_text(text)
    ports = [free_port() for _ in range(3)]
    with balanced(ports) as door:
        yield Cluster(site, door, ports)


@pytest.mark.timeout(400)
def test_three_daemons_share_the_work_and_one_killed_or_paused_does_no_harm(cluster: Cluster) -> None:
    site, (first, second, third) = cluster.site, cluster.ports
    cluster.start(first, second, third)
    dropping = threading.Thread(target=drop_slowly, args=(site, NAMES[:450]))
    dropping.start()
    until("each has settled some", lambda: all(cluster.settled(port, "object") >= 10 for port in cluster.ports))
    names = {cluster.who(port) for port in cluster.ports}
    assert len(names) == 3
    assert set(site.json("status")[0]["daemons"]) == names

    site.kill(cluster.daemons[first])
    killed = time.monotonic()
    dropping.join()
    until("450 tasks", lambda: len(site.images()) >= 450, timeout=120)
    assert site.images() == NAMES[:450], "its claims were taken over, and nothing was made twice"
    took_over = time.monotonic() - killed
    assert took_over < 60 + LEASE_S, took_over

    dropping = threading.Thread(target=drop_slowly, args=(site, NAMES[450:]))
    dropping.start()
    cluster.daemons[second].send_signal(signal.SIGSTOP)
    tasks = sorted(int(task["id"]) for task in site.tasks())[:60]
    for number, task in enumerate(tasks):
        site.person.submit(task, choice(("cat", "dog")[number % 2]))
    time.sleep(2 * LEASE_S)  # the pause itself, not a wait for something
    cluster.daemons[second].send_signal(signal.SIGCONT)
    dropping.join()
    cluster.start(first)
    until("600 tasks", lambda: len(site.images()) >= FILES, timeout=120)
    until("60 rows", lambda: len(site.rows()) >= 60, timeout=60)
    done = site.cli("reconcile")
    assert done.returncode == 0, done.stderr
    until("nothing waits", lambda: idle(site))

    assert site.images() == NAMES, "each file has exactly one task"
    assert sorted(int(row["task_id"]) for row in site.rows()) == tasks
    assert len({row["annotation_id"] for row in site.rows()}) == 60
    numbers = [int(version["version"][1:]) for version in site.json("snapshot", "list", "photos")]
    assert numbers == list(range(1, len(numbers) + 1)), "versions without gaps"
    assert all(cluster.settled(port, "object") for port in (second, third))
    assert all(daemon.poll() is None for port, daemon in cluster.daemons.items())
    for port in cluster.ports:
        assert site.stop(cluster.daemons[port]) == 0
    assert site.json("status")[0]["daemons"] == []


def test_what_there_is_once_is_made_once_by_three_that_start_together(cluster: Cluster) -> None:
    site = cluster.site
    cluster.start(*cluster.ports)
    # two of one title would have ended the daemons
    project = until("the project", lambda: site.person.project(site.title))
    assert project
    projects = site.person._call("GET", "/api/projects/", params={"title": site.title, "page_size": 100})["results"]
    assert len(projects) == 1
    until("the webhook", lambda: len(webhooks(site, project["id"])) == 1)
    site.drop(["a.jpg"])
    (task,) = site.settled_tasks(1)
    site.person.submit(task["id"], choice("cat"))
    until("the row", lambda: len(site.rows()) == 1)
    (webhook,) = webhooks(site, project["id"])
    assert webhook["url"] == f"http://127.0.0.1:{cluster.door}/webhooks/label-studio/photos"
    taken = [page(port, "/metrics").count('route="webhook",status="204"') for port in cluster.ports]
    assert sum(taken) >= 1, "whichever the balancer chose knows the secret"
    assert "webhook.repaired" not in site.log()
    doctor = site.cli("doctor", env={"SYNCD_RECEIVER__PUBLIC_URL": f"http://127.0.0.1:{cluster.door}"})
    assert doctor.returncode == 0, doctor.stdout
    assert all(cluster.who(port) in doctor.stdout for port in cluster.ports)
    assert "has to be one that all hosts" in doctor.stdout
    refused = site.cli("dataset", "delete", "photos", "--yes")
    assert (refused.returncode, "stop them first" in refused.stderr) == (78, True)
    assert all(daemon.poll() is None for daemon in cluster.daemons.values())


def webhooks(site: Site, project: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = site.person._call("GET", "/api/webhooks/", params={"project": project})
    return found


def idle(site: Site) -> bool:
    return all(row["waiting"] == 0 and row["staged"] == 0 for row in site.json("status"))


def drop_slowly(site: Site, names: Sequence[str]) -> None:
    """In bursts, so that there is work at every moment."""
    chance = random.Random(3)
    for start in range(0, len(names), 15):
        site.drop(names[start : start + 15])
        time.sleep(chance.uniform(0.0, 0.3))
