"""What the demo stands on: its own folder, Label Studio, configuration and daemon, under `<data dir>/demo`.

Used by `syncd demo` only. Each run starts with an empty state; the installed Label Studio is kept.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Self, TypeVar

from PIL import Image

import syncd
from syncd.annotators.label_studio.local import LocalLabelStudio, Running, default_data_dir
from syncd.annotators.label_studio.person import Person
from syncd.cli.demo import Queue
from syncd.cli.demo_buckets import DemoBucket, FolderBucket, QueueBucket, WebhookBucket, free_ports
from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.domain.model import JsonObject, VersionInfo

T = TypeVar("T")
TITLE = "syncd demo"
Box = tuple[str, float, float, float, float]

PHOTOGRAPHS: dict[str, list[Box]] = {
    "astronaut.png": [("person", 4, 2, 68, 98), ("rocket", 68, 0, 22, 56)],
    "chelsea.png": [("cat", 2, 0, 94, 98)],
    "coffee.png": [("cup", 28, 4, 42, 54)],
    "rocket.jpg": [("cup", 46, 30, 8, 66)],
    "motorcycle_left.png": [("motorcycle", 12, 16, 80, 74)],
    "motorcycle_right.png": [("motorcycle", 4, 16, 80, 74)],
    "camera.png": [("person", 0, 12, 66, 88)],
}
"""Photographs that scikit-image ships, and the boxes (label; x, y, width, height in percent) the script draws."""

CORRECTED: Box = ("rocket", 46, 30, 8, 66)
AT_FIRST = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
LATER = "camera.png"

CONFIG = """\
data_dir = "{home}"

[receiver]
port = {port}
admin = ""

{sources}

[annotators.studio]
type = "label-studio"
url = "{url}"
token = {{ file = "{token}" }}
local_files_root = "{home}"

[datasets.photos]
annotator = "studio"
title = "{title}"
sources = ["photos"]
media = "{media}"
task = "object-detection"
labels = ["person", "cat", "cup", "rocket", "motorcycle"]

[datasets.photos.snapshots]
url = "{snapshots}"
storage_options = {{ {options} }}
after_changes = {first}
after_quiet = 2
"""


_BUCKETS: dict[Queue | None, Callable[[Path], DemoBucket]] = {
    None: FolderBucket,
    Queue.WEBHOOK: WebhookBucket,
    Queue.SQS: QueueBucket,
}


class DemoSite:
    """The parts of one demo run, in the order in which they are used; leaving the context stops what it started."""

    running: Running

    def __init__(self, data_dir: Path | None, queue: Queue | None) -> None:
        self.home = (data_dir or default_data_dir()).absolute() / "demo"
        self.photos = self.home / "photos"
        self._queue = queue
        self.config = self.home / "syncd.toml"
        self._local = LocalLabelStudio(self.home / "label-studio")
        self._daemon: subprocess.Popen[bytes] | None = None
        self._annotations: dict[str, str] = {}

    def __enter__(self) -> Self:
        for leftover in (self.photos, self.home / "snapshots"):
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self.home.glob("state.db*"):
            leftover.unlink()
        self.photos.mkdir(parents=True)
        self.bucket = _BUCKETS[self._queue](self.home)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it leaves nothing running behind
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon:
            self._daemon.send_signal(signal.SIGTERM)
            self._daemon.wait(30)
        self.bucket.stop()
        self._local.down()

    # ------------------------------------------------------------ servers

    def bring_up_label_studio(self, on_progress: Callable[[str], None]) -> Running:
        """Install it if need be, and start it."""
        (port,) = free_ports(1)
        self.running = self._local.up(port, self.home, on_progress=on_progress)
        with self._person() as person:
            person.delete_project(TITLE)  # of an earlier run
        return self.running

    def start_daemon(self, on_progress: Callable[[str], None]) -> None:
        """Bring up the bucket, write the configuration and start `syncd run` on it; returns when it is ready."""
        (port,) = free_ports(1)
        self.bucket.start(port, on_progress)
        self._configure(port)
        if self._queue is Queue.SQS:
            self._run("bucket", "connect", "photos", "--yes")
        with (self.home / "daemon.log").open("wb") as log:
            self._daemon = subprocess.Popen(self._syncd("run"), stdout=log, stderr=log, env=self._env())  # noqa: S603 - our own
        self._until("the daemon", lambda: _answers(port))

    def _configure(self, port: int) -> None:
        fields = {"home": self.home, "url": self.running.url, "title": TITLE, "first": len(AT_FIRST), "port": port}
        bucket, options = self.bucket, ", ".join(f'{name} = "{value}"' for name, value in self.bucket.options.items())
        fields |= {"sources": bucket.sources, "media": bucket.media, "snapshots": bucket.snapshots, "options": options}
        self.config.write_text(CONFIG.format(**fields, token=self.running.token_file), encoding="utf-8")

    # ------------------------------------------------------------ what happens

    def drop_photographs(self) -> int:
        """Put the photographs into the bucket; returns how many."""
        for name in PHOTOGRAPHS:
            self.bucket.put(name, Path(str(files("skimage.data") / name)))
        return len(PHOTOGRAPHS)

    def wait_for_tasks(self, count: int) -> int:
        """Until so many tasks are in Label Studio; proves that one of the pictures is served."""

        def complete() -> list[JsonObject]:
            tasks = self._tasks()
            return tasks if len(tasks) >= count else []

        tasks = self._until(f"{count} tasks", complete)
        with self._person() as person:
            person.fetch(tasks[0]["data"]["image"]).raise_for_status()
        return len(tasks)

    def annotate(self) -> int:
        """Submit boxes on the first photographs; returns how many were submitted."""
        with self._person() as person:
            for name in AT_FIRST:
                task = self._task(name)
                result = self._result(name, PHOTOGRAPHS[name])
                self._annotations[name] = person.submit(task["id"], result, lead_time=4.2)
        return len(AT_FIRST)

    def correct(self) -> str:
        """Mend the slip and submit one more; says what was done."""
        with self._person() as person:
            person.correct(self._annotations["rocket.jpg"], self._result("rocket.jpg", [CORRECTED]))
            person.submit(self._task(LATER)["id"], self._result(LATER, PHOTOGRAPHS[LATER]), lead_time=3.0)
        return f"the rocket is a rocket again, and {LATER} is labelled too"

    def wait_for_version(self, number: int) -> VersionInfo:
        """Until the version is there."""
        return self._until(f"v{number}", lambda: self._version(number))

    def versions(self) -> Iterator[VersionInfo]:
        """Every version from the third on, as it comes; never ends by itself."""
        number = 3
        while True:
            if found := self._version(number):
                yield found
                number += 1
            if self._daemon is None or self._daemon.poll() is not None:
                raise Retryable(f"the daemon ended; see {self.home / 'daemon.log'}")
            time.sleep(0.5)

    def diff_text(self) -> str:
        """What `syncd snapshot diff` prints."""
        return self._run("snapshot", "diff", "photos", "v1", "v2")

    def read(self) -> tuple[str, Any]:
        """The one line of a training job, and what it gives."""
        uri, options = f"{self.bucket.snapshots}/photos@v2", dict(self.bucket.options)
        columns = ["key", "labels", "annotator", "lead_time"]
        frame = syncd.open_snapshot(uri, storage_options=options).to_pandas(columns=columns)
        told = ", storage_options={…}" if options else ""
        return f'syncd.open_snapshot("{uri}"{told}).to_pandas(columns={columns})', frame

    def dataset_url(self) -> str:
        """Where people label."""
        with self._person() as person:
            project = person.project(TITLE)
        return f"{self.running.url}/projects/{project['id']}/" if project else self.running.url

    # ------------------------------------------------------------ small things

    def _syncd(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "syncd", *arguments, "--config", str(self.config)]

    def _run(self, *arguments: str) -> str:
        """What a command of ours prints."""
        done = subprocess.run(  # noqa: S603 - our own
            self._syncd(*arguments), check=True, capture_output=True, text=True, env=self._env()
        )
        return done.stdout

    def _env(self) -> dict[str, str]:
        """The demo's own settings only: the environment would override its configuration."""
        return {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}

    def _person(self) -> Person:
        return Person(self.running.url, self.running.legacy_token)

    def _tasks(self) -> list[JsonObject]:
        with self._person() as person:
            return person.tasks(TITLE)

    def _task(self, name: str) -> JsonObject:
        return next(task for task in self._tasks() if task["data"]["image"].endswith(f"/{name}"))

    def _result(self, name: str, boxes: list[Box]) -> list[JsonObject]:
        """Boxes as Label Studio's browser would submit them."""
        with Image.open(str(files("skimage.data") / name)) as image:
            width, height = image.size
        about = {"type": "rectanglelabels", "from_name": "label", "to_name": "image", "image_rotation": 0}
        size = {"original_width": width, "original_height": height}
        return [{"id": f"box{n}", "value": _rectangle(box), **about, **size} for n, box in enumerate(boxes)]

    def _version(self, number: int) -> VersionInfo | None:
        try:
            uri = f"{self.bucket.snapshots}/photos@v{number}"
            return syncd.open_snapshot(uri, storage_options=dict(self.bucket.options)).info
        except (ConfigError, Rejected):  # not there yet
            return None

    def _until(self, what: str, check: Callable[[], T | None], timeout_s: float = 60) -> T:
        deadline = time.monotonic() + timeout_s
        while True:
            if answer := check():
                return answer
            if self._daemon is None or self._daemon.poll() is not None or time.monotonic() > deadline:
                raise Retryable(f"{what} did not come; see {self.home / 'daemon.log'}")
            time.sleep(0.2)


def _rectangle(box: Box) -> JsonObject:
    label, x, y, width, height = box
    return {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]}


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
