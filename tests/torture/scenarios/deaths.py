"""`failpoints`: the daemon kills itself at every named place, so many times each, with life going on."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.torture.comparison import settled
from tests.torture.failpoints import MIGRATIONS, NAMES, OFTEN, REACHED
from tests.torture.ground import Ground
from tests.torture.installation import Installation, Setup, installed
from tests.torture.life import Life
from tests.torture.nursery import Nursery, until_ready
from tests.torture.options import Options
from tests.torture.outcome import Outcome

PATIENCE_S = 30.0
"""So long a daemon lives whose failpoint is not reached; then it is another's turn."""
MISSES = 4
"""A failpoint that is missed so often, times the rounds, is given up."""
LATE_HIT = 4
EVERY_S = 2.0
"""The bucket is listed so often: the S3 server waits for seconds with what it could not tell a dead daemon."""
_TRIGGER = '[datasets.photos.triggers.note]\ntype = "command"\ncommand = ["true"]'


@dataclass
class Tally:
    """How often each failpoint was the end, and how often it was not reached."""

    rounds: int
    deaths: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def is_open(self, name: str) -> bool:
        """Whether it is to be tried again."""
        return self.deaths[name] < self.rounds and self.missed[name] < self.rounds * MISSES

    def note(self, name: str, *, died: bool) -> None:
        """How one try went."""
        (self.deaths if died else self.missed)[name] += 1

    def differences(self, reached: dict[str, int]) -> Iterator[str]:
        """What is short, and which deaths were of something else; `reached`: by what the daemons themselves wrote."""
        for name, times in reached.items():
            if not times == self.deaths[name] == self.rounds:
                yield f"{name}: reached {times} times, died {self.deaths[name]} times of {self.rounds}"


def run(ground: Ground, options: Options, names: tuple[str, ...] = (*MIGRATIONS, *NAMES)) -> Outcome:
    """Die `options.rounds` times at each; then let it finish, and compare."""
    chance, tally = random.Random(options.seed), Tally(options.rounds)
    setup = Setup(state=options.state, every=EVERY_S, settle_imports=3, lease=1, more=_TRIGGER)
    with installed(ground, setup) as site, Nursery() as nursery:
        for name in (name for name in names if name in MIGRATIONS for _ in range(options.rounds)):
            tally.note(name, died=_dies(site, nursery, name, 1))
        began, first = time.monotonic(), nursery.bear(site)
        with Life(site, options.seed, keys=16, objects=0.5, answers=0.5) as life:
            nursery.kill(first)
            while open_ := [name for name in names if name not in MIGRATIONS and tally.is_open(name)]:
                for name in open_:
                    hit = chance.randint(1, LATE_HIT) if name in OFTEN else 1
                    tally.note(name, died=_dies(site, nursery, name, hit))
                    options.progress(tally.deaths.total(), options.rounds * len(names), tally.missed)
        took = time.monotonic() - began
        until_ready(nursery, nursery.bear(site), site)
        found = settled(site)
        log = site.log()
    reached = {name: log.count(f"{REACHED}{name}\n") for name in names}
    found.wrong += list(tally.differences(reached))
    notes = [
        f"{name}: reached {reached[name]}, died {tally.deaths[name]}, missed {tally.missed[name]}" for name in names
    ]
    faults = Counter({"deaths": tally.deaths.total(), "failpoints": sum(map(bool, reached.values()))})
    return Outcome("failpoints", faults, life.did, found, [*notes, f"{took:.0f} s of deaths"])


def _dies(site: Installation, nursery: Nursery, name: str, hit: int) -> bool:
    """Whether a daemon dies at a place; the next one finds what it left."""
    pid = nursery.bear(site, name, hit)
    if name.startswith("state closed") and until_ready(nursery, pid, site):
        nursery.kill(pid, signal.SIGTERM)
    status = nursery.status(pid, PATIENCE_S)
    nursery.kill(pid)
    assert status in {None, 0, -signal.SIGKILL}, f"the daemon ended with {status}; see {site.home}/daemon.log"
    return status == -signal.SIGKILL
