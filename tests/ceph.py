"""A real Ceph RGW for tests marked `system`: mon, mgr, osd and rgw from Debian's packages, in memory, on loopback.

Ask for the fixture `ceph`; every test makes buckets and topics of its own. Needs root, and the packages radosgw
ceph-mon ceph-osd ceph-mgr ceph-common: a missing one is a failure. Starts in about 14 s. `SECURE` are headers that
make RGW take a request as one over TLS, which it wants where a topic holds a password.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.known_secrets import S3_KEY

PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool")
SECURE = {"X-Forwarded-Proto": "https"}
_UP_WITHIN = 120.0
_CONFIG = """
[global]
fsid = {fsid}
mon host = 127.0.0.1:{mon}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
osd objectstore = memstore
memstore device bytes = 1073741824
log file = {home}/log/$name.log
admin socket = {home}/run/$name.$pid.asok
run dir = {home}/run
crash dir = {home}/run
keyring = {home}/keyring
mon data = {home}/mon
osd data = {home}/osd0
mgr data = {home}/mgr
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{rgw} tcp_nodelay=1
rgw trust forwarded https = true
rgw data = {home}
"""


@dataclass
class Ceph:
    """A running cluster of one of each. `client` are the arguments of a client of its S3 or SNS."""

    home: Path
    rgw: int
    mon: int
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def client(self) -> dict[str, Any]:
        endpoint = f"http://127.0.0.1:{self.rgw}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": S3_KEY}
        return {"endpoint_url": endpoint, "region_name": "us-east-1", **keys}

    def start(self) -> None:
        self._lay_out()
        self._background("mon", "ceph-mon", "-i", "a", "-f")
        self._until("mon", lambda: self._asks("-s"))
        self._background("mgr", "ceph-mgr", "-i", "x", "-f")
        self._start_osd()
        self._background("rgw", "radosgw", "-n", "client.rgw", "-f")
        self._until("rgw", lambda: _is_taken(self.rgw))
        keys = ("--access-key=test", f"--secret-key={S3_KEY}")
        user = ("-n", "client.adm", "user", "create", "--uid=test", "--display-name=test", *keys)
        admin = ["radosgw-admin", "-c", str(self.home / "ceph.conf"), *user]
        subprocess.run(admin, check=True, stdout=subprocess.DEVNULL, timeout=60)  # its answer shows the key

    def stop(self) -> None:
        for process in self._running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _lay_out(self) -> None:
        for folder in ("mon", "osd0", "mgr", "run", "log"):
            (self.home / folder).mkdir()
        (self.home / "keyring").touch()
        fsid = str(uuid.uuid4())
        config = _CONFIG.format(fsid=fsid, home=self.home, mon=self.mon, rgw=self.rgw)
        (self.home / "ceph.conf").write_text(config)
        monmap = str(self.home / "monmap")
        made = ("monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{self.mon}]", "--fsid", fsid, monmap)
        subprocess.run(made, check=True, capture_output=True, timeout=30)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)

    def _start_osd(self) -> None:
        """It may die once, with EPERM, while the monitor settles."""
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)

        def is_up() -> bool:
            if "osd" not in self._running or self._running["osd"].poll() is not None:
                self._background("osd", "ceph-osd", "-i", "0", "-f")
            return "1 up" in self._asks("osd", "stat")

        self._until("osd", is_up, dies=True)

    def _background(self, name: str, *command: str) -> None:
        program, *rest = command
        with (self.home / "log" / f"{name}.out").open("ab") as log:
            full = [program, "-c", str(self.home / "ceph.conf"), *rest]
            self._running[name] = subprocess.Popen(
                full, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _run(self, program: str, *rest: str) -> str:
        full = [program, "-c", str(self.home / "ceph.conf"), *rest]
        return subprocess.run(full, check=True, capture_output=True, text=True, timeout=60).stdout

    def _asks(self, *question: str) -> str:
        """The cluster's answer; empty while it gives none."""
        try:
            return self._run("ceph", "--connect-timeout", "5", *question)
        except subprocess.SubprocessError:
            return ""

    def _until(self, name: str, condition: Any, *, dies: bool = False) -> None:
        deadline = time.monotonic() + _UP_WITHIN
        while not condition():
            dead = not dies and self._running[name].poll() is not None
            assert not dead, f"{name} ended: {(self.home / 'log' / f'{name}.out').read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{name} is not up within {_UP_WITHIN:g} s"
            time.sleep(0.2)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """A Ceph RGW; a failure where its packages are missing."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    packages = "radosgw ceph-mon ceph-osd ceph-mgr ceph-common"
    assert not missing, f"{', '.join(missing)} missing: apt-get install -y --no-install-recommends {packages}"
    cluster = Ceph(tmp_path_factory.mktemp("ceph"), _free_port(), _free_port())
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
