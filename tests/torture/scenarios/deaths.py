"""`failpoints`: the daemon kills itself at every named place, so many times each, with life going on."""

import random
import signal
import time
from collections import Counter

from tests.torture.comparison import settled
from tests.torture.failpoints import MIGRATIONS, NAMES
from tests.torture.ground import Ground
from tests.torture.installation import Installation, Setup, installed
from tests.torture.life import Life
from tests.torture.nursery import Nursery, until_ready
from tests.torture.options import Options
from tests.torture.outcome import Outcome

PATIENCE_S = 20.0
"""So long a daemon lives on whose failpoint is not reached; then it is another's turn."""
MISSES = 4
"""A failpoint that is missed so often, times the rounds, is given up."""
LATE_HIT = 4
_TRIGGER = '[datasets.photos.triggers.note]\ntype = "command"\ncommand = ["true"]'


def run(ground: Ground, options: Options, names: tuple[str, ...] = (*MIGRATIONS, *NAMES)) -> Outcome:
    """Die `options.rounds` times at each; then let it finish, and compare."""
    chance, faults, missed = random.Random(options.seed), Counter[str](), Counter[str]()
    setup = Setup(state=options.state, settle_imports=3, lease=1, more=_TRIGGER)
    with installed(ground, setup) as site, Nursery() as nursery:
        for name in (name for name in names if name in MIGRATIONS for _ in range(options.rounds)):
            _die(site, nursery, name, 1, faults, missed)
        began = time.monotonic()
        with Life(site, options.seed, keys=40, objects=0.3, answers=0.3, back=0.6) as life:
            others = [name for name in names if name not in MIGRATIONS]
            while open_ := _open(others, options.rounds, faults, missed):
                for name in open_:
                    _die(site, nursery, name, chance.randint(1, LATE_HIT), faults, missed)
                    options.progress(faults.total(), options.rounds * len(names), Counter(total=faults.total()))
        took = time.monotonic() - began
        pid = nursery.bear(site)
        until_ready(nursery, pid, site)
        found = settled(site)
    found.wrong += [f"{name}: hit {faults[name]} times" for name in names if faults[name] < options.rounds]
    notes = [f"{name}: {faults[name]} (missed {missed[name]})" for name in names] + [f"{took:.0f} s"]
    total = Counter({"deaths": faults.total(), "failpoints": len(faults)})
    return Outcome("failpoints", total, life.did, found, notes)


def _open(names: list[str], rounds: int, faults: Counter[str], missed: Counter[str]) -> list[str]:
    return [name for name in names if faults[name] < rounds and missed[name] < rounds * MISSES]


def _die(
    site: Installation, nursery: Nursery, name: str, hit: int, faults: Counter[str], missed: Counter[str]
) -> None:
    """One daemon that is to die at a place."""
    pid = nursery.bear(site, name, hit)
    if name.startswith("state closed") and until_ready(nursery, pid, site):
        nursery.kill(pid, signal.SIGTERM)
    status = nursery.status(pid, PATIENCE_S)
    nursery.kill(pid)
    assert status in {None, 0, -signal.SIGKILL}, f"the daemon ended with {status}; see {site.home}/daemon.log"
    (faults if status == -signal.SIGKILL else missed)[name] += 1
