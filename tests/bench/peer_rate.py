"""How many objects a second become tasks, beside raw bulk import of the same tasks, and Label Studio's own sync.

Called by `peers`. In every round each side brings as many tasks into a project of its own, so all three meet projects
that are equally full; who of the first two begins changes from round to round.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from tests.bench.goals import Goal
from tests.bench.peer_world import Daemon, Importer, World, daemon

RESOLUTION_S = 0.02
"""How often it is looked whether all tasks are there: each look counts them, which costs the machine something."""
SHARED_CORES = 4
"""With fewer cores, Label Studio and the daemon share them."""


def goals(world: World, *, objects: int, batch: int, rounds: int) -> Iterator[Goal]:
    """Measure. `batch`: tasks of one import, ours and raw."""
    raw, ours, sync = _measured(world, objects, batch, rounds)
    wanted = 0.9 if len(os.sched_getaffinity(0)) >= SHARED_CORES else 0.8
    pairs = [ours_s / raw_s for ours_s, raw_s in zip(ours, raw, strict=True)]
    detail = f"{_rate(objects, ours)} beside {_rate(objects, raw)} of bare imports, {batch} tasks each"
    yield Goal("events to tasks: raw bulk import's rate", 1 / statistics.median(pairs), "", wanted, True, detail)
    pairs = [sync_s / ours_s for sync_s, ours_s in zip(sync, ours, strict=True)]
    detail = f"{_rate(objects, ours)} beside {_rate(objects, sync)} of its S3 storage's sync, {objects:,} objects"
    yield Goal("events to tasks: times Label Studio's own sync", statistics.median(pairs), "x", 20, True, detail)


def _rate(objects: int, seconds: Sequence[float]) -> str:
    return f"{objects / statistics.median(seconds):,.0f}/s"


def _measured(world: World, objects: int, batch: int, rounds: int) -> tuple[list[float], ...]:
    """Seconds of each round: raw, ours, Label Studio's sync. A small round before only warms up."""
    with daemon(world, "rate", batch=batch) as running, closing(Importer(world, world.project("Raw"))) as raw:
        bench = _Bench(world, running, raw, world.project("Synced"), batch)
        bench.ours(world.put("rate/warm", 50))
        bench.learn()
        sides: list[tuple[str, Callable[[Sequence[str]], float]]] = [("raw", bench.raw), ("ours", bench.ours)]
        for side in (bench.raw, bench.sync):
            side(world.put("rate/warm", 50))
        seconds: dict[str, list[float]] = {"raw": [], "ours": [], "sync": []}
        for number in range(rounds):
            keys = world.put(f"rate/{number:03d}", objects)
            for name, measured in (*sides, ("sync", bench.sync)):
                seconds[name].append(measured(keys))
            told = ", ".join(f"{name} {each[-1]:.2f} s" for name, each in seconds.items())
            sys.stderr.write(f"  round {number + 1}: {told}\n")
            sides.reverse()
        return seconds["raw"], seconds["ours"], seconds["sync"]


class _Bench:
    """The three sides. Each returns the seconds it took for these objects."""

    def __init__(self, world: World, running: Daemon, raw: Importer, synced: int, batch: int) -> None:
        self._world, self._daemon, self._raw, self._synced, self._batch = world, running, raw, synced, batch
        self._template: Mapping[str, Any] = {}
        self._told = 0

    def learn(self) -> None:
        """The shape of a task as the daemon makes it, for the raw imports."""
        task = self._world.person.tasks(self._daemon.title)[0]
        self._template = {"data": task["data"], "meta": task["meta"]}

    def raw(self, keys: Sequence[str]) -> float:
        """Bodies made before, sent one after the other."""
        tasks = [self._task(key) for key in keys]
        parts = [tasks[start : start + self._batch] for start in range(0, len(tasks), self._batch)]
        bodies = [json.dumps(part).encode() for part in parts]
        begun = time.perf_counter()
        for body in bodies:
            self._raw.send(body)
        return time.perf_counter() - begun

    def _task(self, key: str) -> Mapping[str, Any]:
        data, lineage = self._template["data"], self._template["meta"]["syncd"]
        shown = f"s3://{self._daemon.bucket}/{key}"
        return {"data": data | {"image": shown}, "meta": {"syncd": lineage | {"key": key}}}

    def ours(self, keys: Sequence[str]) -> float:
        """From the first event sent to the last task recorded."""
        bodies = self._daemon.bodies(keys)
        self._told += len(keys)
        begun = time.perf_counter()
        for body in bodies:
            self._daemon.post(body)
        self._daemon.wait_for_tasks(self._told, every=RESOLUTION_S)
        seconds = time.perf_counter() - begun
        self._daemon.wait_until_quiet()
        return seconds

    def sync(self, keys: Sequence[str]) -> float:
        """A storage of Label Studio's for the prefix, and the press of its button."""
        options = self._world.weed.options
        storage = {
            "project": self._synced,
            "bucket": self._daemon.bucket,
            "prefix": keys[0].rpartition("/")[0] + "/",
            "recursive_scan": True,
            "use_blob_urls": True,
            "s3_endpoint": self._world.weed.endpoint,
            "region_name": options["aws_region"],
            "aws_access_key_id": options["aws_access_key_id"],
            "aws_secret_access_key": options["aws_secret_access_key"],
        }
        http = self._world.person.http
        made = http.post("/api/storages/s3/", json=storage).raise_for_status().json()
        begun = time.perf_counter()
        done = http.post(f"/api/storages/s3/{made['id']}/sync", timeout=1800).raise_for_status().json()
        seconds = time.perf_counter() - begun
        assert (done["status"], done["last_sync_count"]) == ("completed", len(keys)), done
        return seconds
