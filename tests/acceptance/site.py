"""A whole installation for acceptance tests: a folder, a configuration, and the real daemon as a process.

Everything a user would have, made through what a user would use: the command line, files, signals, and Label
Studio's API. Nothing here reaches into the program.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from syncd.annotators.label_studio.person import Person
from syncd.domain.errors import ConfigError, Rejected
from tests.label_studio import LabelStudioServer, free_port

T = TypeVar("T")


def until(what: str, check: Callable[[], T], *, timeout: float = 60.0) -> T:
    """Ask again until the answer is true; fail with the last one."""
    deadline = time.monotonic() + timeout
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s; last answer {answer!r}"
        time.sleep(0.1)


def picture(path: Path, seed: int = 0) -> None:
    """Write a small photograph-like JPEG in one go, the way a copy tool does: under another name, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = random.Random(seed).randbytes(32 * 32 * 3)
    part = path.with_name(f".{path.name}.part")
    Image.frombytes("RGB", (32, 32), noise).save(part, "JPEG")
    part.rename(path)


def choice(label: str) -> list[dict[str, Any]]:
    """The result of an image classification."""
    return [{"id": "r1", "type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": [label]}}]


def _environment() -> dict[str, str]:
    """Ours without settings of syncd, which would override the configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}


class Site:
    """One installation with one folder and one dataset, against a given Label Studio."""

    def __init__(self, home: Path, studio: LabelStudioServer, **dataset: Any) -> None:
        self.home = home
        self.studio = studio
        self.title = f"Site {home.name[-30:]}"[:50]
        self.folder = studio.files_root / home.name
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.config = home / "syncd.toml"
        self.person = Person(studio.url, studio.token)
        self.configure(**dataset)
        self._daemons: list[subprocess.Popen[bytes]] = []

    def configure(
        self,
        *,
        extra: str = "",
        snapshots: str = "after_quiet = 0.5",
        sources: str = "",
        every: float = 5,
        **dataset: Any,
    ) -> None:
        """Write the configuration. `dataset` overrides fields of the dataset, `extra` is TOML put at the end.

        `sources`: TOML of [buckets.*] and of [sources.photos] instead of the folder. `every`: seconds between listings.
        """
        folder = f'[sources.photos]\ntype = "folder"\npath = "{self.folder}"'
        (self.home / "token").write_text(self.studio.pat)
        (self.home / "token").chmod(0o600)
        fields = {"task": "image-classification", "labels": ["cat", "dog"]} | dataset
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
        self.config.write_text(f"""
data_dir = "{self.home}/data"
[receiver]
port = {self.port}
admin = ""
[retry]
longest = 5
[reconcile]
every = {every}
settle_imports = 5
deletions_every = 5
{sources or folder}
[annotators.studio]
type = "label-studio"
url = "{self.studio.url}"
token = {{ file = "{self.home}/token" }}
local_files_root = "{self.studio.files_root}"
[datasets.photos]
annotator = "studio"
sources = ["photos"]
title = "{self.title}"
{lines}
[datasets.photos.snapshots]
{snapshots}
{extra}
""")

    # ------------------------------------------------------------ the program

    def start(self, module: str = "syncd", env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start the daemon, as `spawn` does; returns when it is ready."""
        daemon = self.spawn(module, env)
        until("daemon ready", lambda: self.answers(daemon), timeout=60)
        return daemon

    def spawn(self, module: str = "syncd", env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start the daemon and do not wait; it is ended with the site. `module`: one with the same command line."""
        with (self.home / "daemon.log").open("ab") as log:
            command = [sys.executable, "-m", module, "run", "--config", str(self.config)]
            daemon = subprocess.Popen(command, stdout=log, stderr=log, env=_environment() | dict(env or {}))
        self._daemons.append(daemon)
        return daemon

    def answers(self, daemon: subprocess.Popen[bytes]) -> bool:
        """Whether it is ready; fails when it has ended."""
        assert daemon.poll() is None, f"the daemon ended with {daemon.returncode}: {self.log()[-2000:]}"
        return self.get("/readyz") == 200

    def kill(self, daemon: subprocess.Popen[bytes]) -> None:
        """`kill -9`."""
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    def stop(self, daemon: subprocess.Popen[bytes]) -> int:
        """SIGTERM; returns the exit code."""
        daemon.terminate()
        return daemon.wait(30)

    def close(self) -> None:
        """End what is still running."""
        self.person.__exit__()
        for daemon in self._daemons:
            if daemon.poll() is None:
                self.kill(daemon)

    def log(self) -> str:
        """What all daemons of this site wrote."""
        path = self.home / "daemon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def cli(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line on this site's configuration."""
        command = [sys.executable, "-m", "syncd", *arguments, "--config", str(self.config)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=_environment() | (env or {})
        )

    def json(self, *arguments: str) -> Any:
        """A listing, for machines."""
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def get(self, path: str) -> int:
        """The status of a GET on the receiver; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code
        except OSError:
            return 0

    # ------------------------------------------------------------ the world

    def drop(self, names: Sequence[str]) -> None:
        """Put pictures into the folder, each with bytes of its own."""
        for seed, name in enumerate(names):
            picture(self.folder / name, seed)

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks in Label Studio."""
        return self.person.tasks(self.title)

    def settled_tasks(self, count: int) -> list[dict[str, Any]]:
        """Until so many tasks are there: these."""

        def all_there() -> list[dict[str, Any]]:
            tasks = self.tasks()
            return tasks if len(tasks) == count else []

        return until(f"{count} tasks", all_there)

    def images(self) -> list[str]:
        """The picture of every task, as a sorted list of keys: doubles would show."""
        prefix = f"/data/local-files/?d={self.folder.name}/"
        return sorted(task["data"]["image"].removeprefix(prefix) for task in self.tasks())

    def rows(self, version: str = "latest", status: str = "submitted") -> list[dict[str, Any]]:
        """The rows of a version, opened as a training job does; none where there is no version."""
        import syncd  # noqa: PLC0415 - only here the training side is used

        try:
            snapshot = syncd.open_snapshot(f"file://{self.home}/data/snapshots/photos@{version}")
        except (ConfigError, Rejected):  # there is no version yet
            return []
        return list(snapshot.rows(status=status))
