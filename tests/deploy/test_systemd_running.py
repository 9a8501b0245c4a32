"""The units under a real systemd: started, watched, stopped, started again after a crash, many beside each other."""

import os
import re
from collections.abc import Callable, Iterator

import pytest

from tests.deploy.machine import Machine, booted
from tests.known_secrets import HUSH

pytestmark = pytest.mark.system

TOKEN = HUSH
CONFIG = """
[receiver]
port = {port}
admin = "127.0.0.1:{admin}"
[sources.photos]
type = "folder"
path = "/srv/photos"
[sources.uploader]
type = "cloudevents"
buckets = ["uploads"]
tokens = [{{ credential = "label-studio" }}]
[buckets.uploads]
url = "s3://uploads"
storage_options = {{ aws_region = "us-east-1" }}
[annotators.studio]
type = "label-studio"
url = "http://127.0.0.1:9"
token = {{ credential = "label-studio" }}
local_files_root = "/srv"
[datasets.fruits]
sources = ["photos", "uploader"]
annotator = "studio"
task = "image-classification"
labels = ["apple"]
"""
PUSH = """
import json, sys, urllib.request, urllib.error
event = {"specversion": "1.0", "id": "1", "source": "x", "type": "x"}
headers = {"Authorization": "Bearer " + sys.argv[2], "Content-Type": "application/cloudevents+json"}
request = urllib.request.Request(sys.argv[1] + "/events/uploader", json.dumps(event).encode(), headers)
try:
    print(urllib.request.urlopen(request, timeout=10).status)
except urllib.error.HTTPError as refused:
    print(refused.code)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine"), f"syncd-units-{os.getpid()}") as machine:
        (machine.root / "srv/photos").mkdir(parents=True, exist_ok=True)
        machine.put("/etc/credstore/label-studio", TOKEN, 0o600)
        machine.put("/root/push.py", PUSH)
        yield machine


@pytest.fixture
def unit(machine: Machine) -> Iterator[str]:
    """The service, configured, not started."""
    machine.put("/etc/syncd/syncd.toml", CONFIG.format(port=8400, admin=8401))
    yield "syncd.service"
    machine.systemctl("stop", "syncd.service", "syncd@*.service")
    machine.systemctl("reset-failed")


def pushed(machine: Machine, port: int, token: str) -> str:
    return machine.run("/usr/bin/python3", "/root/push.py", f"http://127.0.0.1:{port}", token)


def answer(machine: Machine, url: str) -> str:
    code = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
    return machine.run("/usr/bin/python3", "-c", code, url)


def changes(machine: Machine, unit: str, name: str) -> Callable[[], bool]:
    """Whether a property has become another since."""
    before = machine.shown(unit, name)
    return lambda: machine.shown(unit, name) not in {before, "0", ""}


def test_it_is_active_once_it_is_ready_as_a_user_without_a_name_and_writes_only_its_state(
    machine: Machine, unit: str
) -> None:
    machine.start(unit)
    assert answer(machine, "http://127.0.0.1:8400/readyz").splitlines()[0] == "ready"
    assert "syncd_build_info" in answer(machine, "http://127.0.0.1:8401/metrics")
    status = machine.run("cat", f"/proc/{machine.shown(unit, 'MainPID')}/status")
    user = int(re.findall(r"Uid:\s+(\d+)", status)[0])
    assert user > 60_000, "a dynamic user"
    assert re.findall(r"CapEff:\s+0+\n", status)
    assert re.findall(r"Seccomp:\s+2\n", status)
    assert machine.run("stat", "--format=%u %a", "/var/lib/private/syncd/state.db").split()[0] == str(user)


def test_the_credential_is_read_and_shown_to_nobody(machine: Machine, unit: str) -> None:
    machine.start(unit)
    assert pushed(machine, 8400, "wrong") == "401"
    assert pushed(machine, 8400, TOKEN) != "401", "it was let in"
    environment = machine.run("cat", f"/proc/{machine.shown(unit, 'MainPID')}/environ")
    assert "CREDENTIALS_DIRECTORY=/run/credentials/syncd.service" in environment
    assert TOKEN not in environment + machine.systemctl("show", unit) + machine.log(unit)


def test_without_its_credential_it_says_so_and_is_not_started_again(machine: Machine, unit: str) -> None:
    secret = machine.root / "etc/credstore/label-studio"
    secret.rename(secret.with_name("elsewhere"))
    try:
        machine.systemctl("start", unit, check=False)
        machine.until("failed", lambda: machine.shown(unit, "ActiveState") == "failed")
        assert (machine.shown(unit, "ExecMainStatus"), machine.shown(unit, "NRestarts")) == ("78", "0")
        assert "sources.uploader.tokens.0" in machine.log(unit)
    finally:
        secret.with_name("elsewhere").rename(secret)


def test_the_watchdog_hears_of_it_again_and_again_and_kills_it_when_it_stands_still(
    machine: Machine, unit: str
) -> None:
    machine.put("/etc/systemd/system/syncd.service.d/quick.conf", "[Service]\nWatchdogSec=4\n")
    machine.systemctl("daemon-reload")
    machine.start(unit)
    machine.until("a sign of life", changes(machine, unit, "WatchdogTimestampMonotonic"), timeout=20)
    machine.until("another", changes(machine, unit, "WatchdogTimestampMonotonic"), timeout=20)
    assert machine.shown(unit, "NRestarts") == "0"
    machine.run("kill", "-STOP", machine.shown(unit, "MainPID"))
    machine.until("started again", lambda: machine.shown(unit, "NRestarts") == "1", timeout=60)
    machine.until("active", lambda: machine.shown(unit, "ActiveState") == "active")
    (machine.root / "etc/systemd/system/syncd.service.d/quick.conf").unlink()
    machine.systemctl("daemon-reload")


def test_after_kill_9_it_is_started_again_with_its_state(machine: Machine, unit: str) -> None:
    machine.start(unit)
    machine.run("kill", "-KILL", machine.shown(unit, "MainPID"))
    machine.until("started again", lambda: machine.shown(unit, "NRestarts") == "1")
    machine.until("active", lambda: machine.shown(unit, "ActiveState") == "active")
    assert answer(machine, "http://127.0.0.1:8400/readyz").splitlines()[0] == "ready"


def test_sigterm_ends_it_cleanly(machine: Machine, unit: str) -> None:
    machine.start(unit)
    machine.systemctl("stop", unit)
    assert (machine.shown(unit, "Result"), machine.shown(unit, "ExecMainStatus")) == ("success", "0")
    assert "daemon.stopped" in machine.log(unit)


def test_of_the_template_there_are_many_each_with_configuration_state_and_secret_of_its_own(
    machine: Machine, unit: str
) -> None:
    machine.run("rm", "-rf", "/var/lib/syncd", "/var/lib/private/syncd")
    for n, name in enumerate(("apples", "pears")):
        machine.put(f"/etc/syncd/{name}.toml", CONFIG.format(port=8410 + n, admin=8420 + n))
        machine.put(f"/etc/credstore/syncd-{name}-label-studio", f"{TOKEN}-{name}", 0o600)
        machine.start(f"syncd@{name}")
    for n, name in enumerate(("apples", "pears")):
        assert machine.run("ls", f"/var/lib/private/syncd/{name}/state.db")
        assert pushed(machine, 8410 + n, f"{TOKEN}-{name}") != "401"
        assert pushed(machine, 8410 + n, f"{TOKEN}-{'pears' if n == 0 else 'apples'}") == "401"
