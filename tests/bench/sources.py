"""What comes in by a queue: messages per second, beside a bare loop that receives and deletes.

Called by `python -m tests.bench`.
"""

import argparse

from syncd.runtime.telemetry import configure_logging
from tests.bench import sqs
from tests.bench.goals import Goal


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--messages", type=int, default=5_000, help="of the queue (default: 5,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured (default: 5)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    configure_logging("warning", "auto")
    return list(sqs.goals(options.messages, options.rounds))
