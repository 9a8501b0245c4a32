"""`syncd run` as a process of its own, which only listens: nobody works on what it takes, for no annotator answers.

What it keeps is read from its state file, what it costs from /proc. Two senders may speak to it: `cam` (MinIO's
notifications, of the bucket `photos`) and `app` (events of one's own, of the bucket `scans`).
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.bad_inputs.raw import exchange, statuses
from tests.known_secrets import HUSH, secret
from tests.label_studio import free_port
from tests.sources.amazon import records

CONFIG = """
data_dir = "{home}/data"
[receiver]
port = {port}
admin = "127.0.0.1:{aside}"
header_timeout = {header}
body_timeout = {body}
[buckets]
photos = {{ url = "s3://photos", storage_options = {{ aws_endpoint = "http://127.0.0.1:9", aws_region = "eu" }} }}
scans = {{ url = "s3://scans", storage_options = {{ aws_endpoint = "http://127.0.0.1:9", aws_region = "eu" }} }}
[sources.cam]
type = "minio"
buckets = ["photos"]
tokens = [{{ env = "CAM_TOKEN" }}]
[sources.app]
type = "http"
buckets = ["scans"]
tokens = [{{ env = "APP_TOKEN" }}]
[annotators.studio]
type = "label-studio"
url = "http://127.0.0.1:9"
token = {{ env = "STUDIO_TOKEN" }}
[datasets.fruits]
annotator = "studio"
sources = ["cam", "app"]
task = "image-classification"
labels = ["apple"]
"""
SECRETS = {"CAM_TOKEN": HUSH, "APP_TOKEN": secret("app"), "STUDIO_TOKEN": secret("studio")}


class Running:
    """One daemon. `home` is its folder: configuration, log, data."""

    def __init__(self, home: Path, *, header: float, body: float, environment: Mapping[str, str]) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.port, self.aside = free_port(), free_port()
        self.config = home / "syncd.toml"
        self.config.write_text(CONFIG.format(home=home, port=self.port, aside=self.aside, header=header, body=body))
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
        self.environment = {**ours, **SECRETS, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": secret("aws"),
                            **environment}  # fmt: skip
        with (home / "daemon.log").open("ab") as log:
            self._log_before = log.tell()
            command = [sys.executable, "-m", "syncd", "run", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)

    def log(self) -> str:
        """What it wrote."""
        return (self.home / "daemon.log").read_text("utf-8", errors="replace")

    def shown(self) -> str:
        """All that it shows to whoever watches: its log, its metrics, and what `syncd status` says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.aside}/metrics", timeout=10) as page:
            metrics = page.read().decode()
        command = [sys.executable, "-m", "syncd", "status", "--config", str(self.config)]
        status = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        return "\n".join((self.log(), metrics, status.stdout, status.stderr))

    def wait_until_listening(self) -> None:
        """Return once it takes requests."""
        deadline = time.monotonic() + 60
        while "daemon.started" not in self.log()[self._log_before :]:
            assert self.process.poll() is None, self.log()[-2000:]
            assert time.monotonic() < deadline, self.log()[-2000:]
            time.sleep(0.05)

    def end(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait()

    def memory(self) -> "Memory":
        """Its peak, from now on."""
        return Memory(self.process.pid)

    def waiting(self) -> dict[str, int]:
        """How many subjects it keeps, by kind."""
        return dict(self.asked("SELECT kind, count(*) FROM subjects GROUP BY kind"))

    def asked(self, question: str) -> list[tuple[Any, ...]]:
        """The rows of a question to its state file."""
        with closing(sqlite3.connect(f"file:{self.state_file}?mode=ro", uri=True)) as state:
            return state.execute(question).fetchall()

    @property
    def state_file(self) -> Path:
        """Where it keeps what it took."""
        return self.home / "data" / "state.db"

    async def send(self, body: bytes, *headers: str, source: str = "cam", within: float = 20.0) -> list[int]:
        """POST a body on a connection of its own; the statuses that come back until it closes."""
        token = SECRETS[f"{source.upper()}_TOKEN"]
        lines = [f"POST /events/{source} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {token}",
                 "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]  # fmt: skip
        return statuses(await exchange(self.port, "\r\n".join(lines).encode() + b"\r\n\r\n" + body, within=within))


class Memory:
    """How much a process grew, at its largest, bytes."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        (self._proc / "clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        self._before = self._peak()

    def grown(self) -> int:
        """Since the beginning."""
        return self._peak() - self._before

    def _peak(self) -> int:
        lines = (self._proc / "status").read_text("ascii").splitlines()
        (line,) = [line for line in lines if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024


@contextmanager
def running(
    home: Path, *, header: float = 10.0, body: float = 30.0, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A daemon that listens, until the context ends. `header`, `body`: seconds a sender may take."""
    daemon = Running(home, header=header, body=body, environment=environment or {})
    try:
        daemon.wait_until_listening()
        yield daemon
    finally:
        daemon.end()


def from_app(key: str) -> bytes:
    """An event as `app` sends it."""
    return json.dumps({"bucket": "scans", "events": [{"type": "created", "key": key}]}).encode()


def from_cam(*keys: str) -> bytes:
    """Events as `cam` sends them."""
    return records(*keys).encode()
