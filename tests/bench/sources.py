"""What comes in: messages of a queue per second, and a large listing joined with the state, each beside a bare loop.

Called by `python -m tests.bench`. Each part stands in a module of its own and can be left out.
"""

import argparse
import sys
from collections.abc import Iterator

from syncd.runtime.telemetry import configure_logging
from tests.bench import listing, sqs
from tests.bench.goals import Goal


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--messages", type=int, default=5_000, help="of the queue; 0: leave it out (default: 5,000)")
    parser.add_argument("--objects", type=int, default=1_000_000, help="listed; 0: leave it out (default: 1,000,000)")
    parser.add_argument("--listings", type=int, default=3, help="how often that is measured (default: 3)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured (default: 5)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    configure_logging("warning", "auto")
    return list(_goals(options))


def _goals(options: argparse.Namespace) -> Iterator[Goal]:
    if options.messages:
        sys.stderr.write(f"a queue of {options.messages:,} messages, {options.rounds} rounds\n")
        yield from sqs.goals(options.messages, options.rounds)
    if options.objects:
        sys.stderr.write(f"a listing of {options.objects:,} objects, {options.listings} rounds\n")
        yield from listing.goals(options.objects, options.listings)
