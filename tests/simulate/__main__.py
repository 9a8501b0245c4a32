"""Many seeds of the fault simulation, or one with every step. Exit 1 where something was lost, doubled or wrong.

usage: python -m tests.simulate [--seeds 10000] [--from N] [--seed N] [--paused] [--sql] [--jobs N]
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial

from tests.simulate.simulation import Outcome, simulate

SHOWN = 5


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N", help="the first of them (default: 0)")
    parser.add_argument("--seed", type=int, metavar="N", help="only this one, with every step")
    parser.add_argument("--paused", action="store_true", help="processes may sleep past their leases")
    parser.add_argument("--sql", action="store_true", help="on SQLite instead of the state in memory")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many seeds at once (default: 1)")
    options = parser.parse_args()
    play = partial(simulate, paused=options.paused, sql=options.sql)
    if options.seed is not None:
        return one(play(options.seed))
    return many(play, range(options.first, options.first + options.seeds), options.jobs)


def one(outcome: Outcome) -> int:
    """Show every step of a seed."""
    say("\n".join(outcome.trace))
    say(story(outcome))
    return bool(outcome.wrongs)


def many(play: Callable[[int], Outcome], seeds: range, jobs: int) -> int:
    """Run seeds; show those that fail, and at the end what was done to the world."""
    counts: Counter[str] = Counter()
    failed = 0
    began = _cpu()
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        for outcome in pool.map(play, seeds, chunksize=20) if pool else map(play, seeds):
            counts += outcome.counts
            if outcome.wrongs:
                failed += 1
                seed = f"seed {outcome.seed} failed too; again: {outcome.again}"
                say(story(outcome) if failed <= SHOWN else seed)
    say(summary(counts))
    say(f"{len(seeds)} seeds, {failed} failed, {_cpu() - began:.0f} s CPU")
    return bool(failed)


def _cpu() -> float:
    """Seconds of this process and of those that it waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def summary(counts: Counter[str]) -> str:
    """How often each call met which fault."""
    calls: dict[str, list[str]] = {}
    for name, count in sorted(counts.items()):
        call, verdict = name.rsplit(": ", 1)
        calls.setdefault(call, []).append(f"{verdict} {count}")
    return "\n".join(f"{call:24} {', '.join(verdicts)}" for call, verdicts in calls.items())


def story(outcome: Outcome) -> str:
    """What became of a seed, and how to see it again."""
    lines = [f"seed {outcome.seed} ({outcome.title}): {'FAILED' if outcome.wrongs else 'ok'}", *outcome.wrongs]
    return "\n  ".join([*lines, f"again: {outcome.again}"])


def say(text: str) -> None:
    """A line for a terminal or a log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
