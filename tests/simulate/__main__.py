"""Many seeds of the fault simulation, or one with every step. Exit 1 where something was lost, doubled or wrong.

usage: python -m tests.simulate [--seeds 10000] [--from N] [--seed N] [--paused]
"""

import argparse
import sys
import time
from collections import Counter

from tests.simulate.simulation import Outcome, simulate

SHOWN = 5


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N", help="the first of them (default: 0)")
    parser.add_argument("--seed", type=int, metavar="N", help="only this one, with every step")
    parser.add_argument("--paused", action="store_true", help="processes may sleep past their leases")
    options = parser.parse_args()
    if options.seed is not None:
        return one(options.seed, paused=options.paused)
    return many(range(options.first, options.first + options.seeds), paused=options.paused)


def one(seed: int, *, paused: bool) -> int:
    """Show every step of a seed."""
    outcome = simulate(seed, paused=paused)
    say("\n".join(outcome.trace))
    say(story(outcome))
    return bool(outcome.wrongs)


def many(seeds: range, *, paused: bool) -> int:
    """Run seeds; show those that fail, and at the end what was done to the world."""
    counts: Counter[str] = Counter()
    failed: list[int] = []
    began = time.process_time()
    for seed in seeds:
        outcome = simulate(seed, paused=paused)
        counts += outcome.counts
        if outcome.wrongs:
            failed.append(seed)
            say(story(outcome) if len(failed) <= SHOWN else f"seed {seed} failed too; again: {outcome.again}")
    say(summary(counts))
    say(f"{len(seeds)} seeds, {len(failed)} failed, {time.process_time() - began:.0f} s CPU")
    return bool(failed)


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
