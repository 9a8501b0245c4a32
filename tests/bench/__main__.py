"""Benchmarks against goals: a Markdown table, the machine, and exit 1 where a goal is short.

usage: python -m tests.bench NAME [options]; `python -m tests.bench --help` lists them.
"""

import argparse
import sys

from tests.bench import snapshot, sources
from tests.bench.goals import machine, markdown

_BENCHMARKS = {"snapshot": snapshot, "sources": sources}


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks against goals.")
    commands = parser.add_subparsers(dest="name", required=True)
    for name, module in _BENCHMARKS.items():
        module.arguments(commands.add_parser(name, help=(module.__doc__ or "").partition("\n")[0]))
    options = parser.parse_args()
    goals = _BENCHMARKS[options.name].run(options)
    sys.stdout.write(f"{markdown(goals)}\n\n{machine()}\n")
    return 0 if all(goal.ok for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
