"""Real faults: a Markdown table of what was injected, what was compared, and what differed; exit 1 where anything did.

usage: python -m tests.torture [--kills N] [--rounds N] [--minutes M] [--objects N] [--state sqlite|postgresql]
       [--seed N] [--only NAME …]

Each scenario has servers of its own (Label Studio, SeaweedFS, PostgreSQL), on 127.0.0.1 and below a folder that is
removed where all is equal, and named where it is not. The numbers are those of a full run; see `SCENARIOS`.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests import postgres
from tests.torture.comparison import Comparison
from tests.torture.ground import Ground, grounded
from tests.torture.options import Options
from tests.torture.outcome import Outcome, table
from tests.torture.scenarios import bursts, clocks, damages, deaths, disks, kills, outages, replicas, wires

SCENARIOS: dict[str, Callable[[Ground, Options], Outcome]] = {
    "kills": kills.run,
    "failpoints": deaths.run,
    "proxy": wires.run,
    "label-studio-down": outages.run,
    "disk-full": disks.run,
    "clock": clocks.run,
    "damage": damages.run,
    "replicas": replicas.run,
    "burst": bursts.run,
}
TOLD_BY_US = {"disk-full", "burst"}
"""Scenarios that send the events themselves."""
ON_SQLITE = {"disk-full", "damage"}
ON_POSTGRESQL = {"replicas"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    options, state, names = _parsed(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all servers end with us
    outcomes = []
    for name in names:
        outcomes.append(_ran(name, state, options))
        _tell(outcomes[-1])
    sys.stdout.write(f"{table(outcomes)}\n")
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def _parsed(arguments: Sequence[str] | None) -> tuple[Options, str, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="Real faults, compared exactly.")
    default = Options()
    parser.add_argument("--kills", type=int, default=default.kills, help="kill -9 at so many random times")
    parser.add_argument("--rounds", type=int, default=default.rounds, help="deaths at each failpoint")
    parser.add_argument("--minutes", type=float, default=default.minutes, help="of a bad network, and of outages")
    parser.add_argument("--objects", type=int, default=default.objects, help="of a burst")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--state", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), metavar="NAME")
    asked = parser.parse_args(arguments)
    sizes = {name: getattr(asked, name) for name in ("kills", "rounds", "minutes", "objects", "seed")}
    return Options(**sizes), asked.state, asked.only


def _ran(name: str, state: str, options: Options) -> Outcome:
    """One scenario; what ends it early is wrong, too."""
    home = Path(tempfile.mkdtemp(prefix="torture-"))
    sys.stderr.write(f"{name}: {home}\n")
    began, outcome = time.monotonic(), Outcome(name, Counter())
    try:
        with _database(name, state) as url, grounded(home, webhook=name not in TOLD_BY_US) as ground:
            outcome = SCENARIOS[name](ground, replace(options, state=url))
    except Exception as error:  # noqa: BLE001 - the others are to run all the same
        outcome.comparison = Comparison(wrong=[f"{type(error).__name__}: {error}", traceback.format_exc()])
    outcome.notes.append(f"{(time.monotonic() - began) / 60:.1f} min")
    if outcome.wrong:
        outcome.notes.append(f"logs: {home}")
    else:
        shutil.rmtree(home, ignore_errors=True)
    return outcome


@contextmanager
def _database(name: str, state: str) -> Iterator[str]:
    """URL of an empty database; empty where the state is to be a file."""
    with ExitStack() as stack:
        if name in ON_POSTGRESQL or (state == "postgresql" and name not in ON_SQLITE):
            yield stack.enter_context(postgres.served()).fresh()
        else:
            yield ""


def _tell(outcome: Outcome) -> None:
    lines = [f"## {outcome.scenario}", *outcome.notes, *(f"WRONG: {line}" for line in outcome.wrong)]
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
