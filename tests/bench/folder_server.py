"""The two that the bench `folder` compares, each a process of its own that watches a folder.

`python -m tests.bench.folder_server bare|ours HOME FOLDER`: prints a line once it watches. `bare` is a watchdog
observer as it is by default, of all kinds of events, whose handler notes the names of files; how many is asked for by
an empty line on standard input. `ours` is the daemon's folder source with its reconcile on the SQLite state, without
the workers, which have no annotator here; its marks are in the state file.
"""

import asyncio
import sys
from functools import partial
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from syncd.config import load_config
from syncd.runtime import garbage
from syncd.runtime.telemetry import configure_logging
from syncd.service.assembly import assemble
from syncd.service.upkeep import Upkeep

_CONFIG = """
data_dir = "{home}/data"
[reconcile]
most_waiting = 10000000
[sources.fruits]
type = "folder"
path = "{folder}"
[annotators.studio]
type = "label-studio"
url = "http://127.0.0.1:9"
token = {{ file = "{home}/token" }}
[datasets.fruits]
annotator = "studio"
sources = ["fruits"]
task = "image-classification"
labels = ["apple", "pear"]
"""


class _Names(FileSystemEventHandler):
    """All that a handler of one's own has to do."""

    def __init__(self) -> None:
        self.files: set[str | bytes] = set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Of a file written before its new directory is watched, it tells only that it is there."""
        if not event.is_directory:
            self.files.add(event.src_path)


def bare(folder: str) -> None:
    """Watch, and tell how many there were."""
    names, observer = _Names(), Observer()
    observer.schedule(names, folder, recursive=True)
    observer.start()
    _say("watching")
    for _ in sys.stdin:
        _say(str(len(names.files)))


async def ours(home: Path, folder: str) -> None:
    """Watch as `syncd run` does."""
    (home / "token").write_text("no-server-asks-for-it")
    config = home / "syncd.toml"
    config.write_text(_CONFIG.format(home=home, folder=folder))
    async with assemble(load_config(config, {}), exclusive=True) as parts, asyncio.TaskGroup() as jobs:
        upkeep, listed = Upkeep(parts), asyncio.Event()

        def rescan() -> None:
            upkeep.rescan("fruits")
            listed.set()

        jobs.create_task(upkeep.objects(parts.datasets["fruits"]))
        jobs.create_task(parts.sources["fruits"].run(partial(parts.deliver, source="fruits"), rescan))
        await listed.wait()
        garbage.settle()
        _say("watching")


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main(kind: str, home: str, folder: str) -> None:
    """Watch until it is ended."""
    configure_logging("warning", "json")
    if kind == "bare":
        bare(folder)
    else:
        asyncio.run(ours(Path(home), folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
