"""From one event to its task, beside a raw import of one task.

Called by `peers`. Samples of both alternate, each alone. Ours runs from the sending of the event to the task's id being
recorded, which is looked for every `RESOLUTION_S`; raw is the request alone.
"""

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from tests.bench.goals import Goal
from tests.bench.peer_world import RESOLUTION_S, Importer, World, daemon

WINDOW_MS = 50.0
"""Time that a batch may take to fill up; the daemon's own is shorter (`worker.linger`)."""
SLACK_MS = 20.0


def goals(world: World, *, samples: int) -> Iterator[Goal]:
    """Measure."""
    raw, ours = _measured(world, samples)
    middle, raw_middle = statistics.median(ours), statistics.median(raw)
    detail = f"beside {raw_middle:.0f} ms of one raw import; seen to {RESOLUTION_S * 1e3:.0f} ms, {samples} samples"
    yield Goal("event to task: p50", middle, "ms", raw_middle + WINDOW_MS + SLACK_MS, detail=detail)
    last, raw_last = _p99(ours), _p99(raw)
    detail = f"beside {raw_last:.0f} ms of one raw import"
    yield Goal("event to task: p99", last, "ms", 2 * raw_last + WINDOW_MS, detail=detail)


def _p99(milliseconds: Sequence[float]) -> float:
    return statistics.quantiles(milliseconds, n=100, method="inclusive")[-1]


def _measured(world: World, samples: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each sample: raw, ours. The first five only warm up."""
    raw, ours = [], []
    project = world.project("One by one")
    with daemon(world, "latency") as running, closing(Importer(world, project)) as importer:
        for number, key in enumerate(world.put("latency/each", samples + 5)):
            task = [{"data": {"image": f"s3://{running.bucket}/{key}"}, "meta": {"key": key}}]
            body = json.dumps(task).encode()
            begun = time.perf_counter()
            importer.send(body)
            raw.append(1e3 * (time.perf_counter() - begun))
            (event,) = running.bodies([key])
            begun = time.perf_counter()
            running.post(event)
            running.wait_for_tasks(number + 1)
            ours.append(1e3 * (time.perf_counter() - begun))
            running.wait_until_quiet()
        return raw[5:], ours[5:]
