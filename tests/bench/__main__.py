"""Benchmarks against goals: a Markdown table for each, the machine, and exit 1 where a goal is short.

usage: python -m tests.bench [NAME …] [--save] [options of the benches]; `--help` lists the benches, and after a name
the options of that one. A bench is a module of this package with `arguments(parser)`, which says what the command line
takes, and `run(options)`, which measures and returns `Goal`s. It may name what it measures against in `SERVERS`:
"label-studio", or names of installed distributions; their versions are told beside the figures.

`--save` keeps the figures: results.json (a section for each bench, the others stay as they are), and made from it
RESULTS.md and results.svg.
"""

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from itertools import takewhile
from types import ModuleType

from tests.bench import results
from tests.bench.goals import Goal, markdown
from tests.bench.machine import machine, versions

BENCHES = {
    "intake": "acknowledged events, beside a bare aiohttp handler and one fdatasync",
    "sources": "messages of a queue, beside a bare loop of receive and delete",
    "folder": "files noticed, beside a bare watchdog observer",
    "peers": "event to task, beside raw bulk import and Label Studio's own sync",
    "reconcile": "a million objects listed beside a state that knows them",
    "state": "claims and settles on PostgreSQL, two replicas beside one",
    "snapshot": "commits to a million rows, and reading them",
    "burst": "100,000 notifications into the daemon: memory, losses, doubles",
    "idle": "what the daemon costs while nothing happens",
}


def main(arguments: Sequence[str]) -> int:
    """Run the benches named, or all; 1 where a goal is short or a bench failed."""
    names = list(takewhile(lambda word: not word.startswith("-"), arguments))
    rest = arguments[len(names) :]
    if not names and {"-h", "--help"} & set(rest):
        sys.stdout.write(_usage())
        return 0
    if unknown := set(names) - BENCHES.keys():
        sys.stderr.write(f"no such bench: {', '.join(sorted(unknown))}\n\n{_usage()}")
        return 2
    benches = {name: importlib.import_module(f"tests.bench.{name}") for name in names or BENCHES}
    options = {name: _options(name, module, rest) for name, module in benches.items()}
    return max([_run(name, module, options[name]) for name, module in benches.items()])


def _usage() -> str:
    listed = "\n".join(f"  {name:10} {what}" for name, what in BENCHES.items())
    return f"python -m tests.bench [NAME …] [--save] [options]\n\n{listed}\n\n`NAME --help` lists its options.\n"


def _options(name: str, module: ModuleType, rest: Sequence[str]) -> argparse.Namespace:
    """What the rest of the command line says to one bench."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench {name}", description=BENCHES[name])
    parser.add_argument("--save", action="store_true", help="keep the figures in tests/bench")
    module.arguments(parser)
    options: argparse.Namespace = parser.parse_args(rest)
    return options


def _run(name: str, module: ModuleType, options: argparse.Namespace) -> int:
    """Run one bench and print its table; one that fails keeps none of the others from running."""
    sys.stderr.write(f"{name}: {BENCHES[name]}\n")
    servers = versions(getattr(module, "SERVERS", ()))
    try:
        goals: list[Goal] = module.run(options)
    except Exception:  # noqa: BLE001 - the next bench has a right to run
        traceback.print_exc()
        sys.stdout.write(f"## {name}\n\nIt failed.\n\n")
        return 1
    sys.stdout.write(f"## {name}\n\n{markdown(goals)}\n\n{machine()}{servers}\n\n")
    sys.stdout.flush()
    if options.save:
        results.save(name, goals, machine() + servers)
    return 0 if all(goal.ok for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
