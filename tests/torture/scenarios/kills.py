"""kill -9 at random times: while it starts, works and stops, with life going on all the while."""

import random
import time
from collections import Counter

from tests.acceptance.site import until
from tests.torture.comparison import settled
from tests.torture.ground import Ground
from tests.torture.installation import Daemon, Installation, Setup, installed
from tests.torture.life import Life
from tests.torture.options import Options
from tests.torture.outcome import Outcome

PHASES = {"while it starts": 0.25, "while it works": 0.6, "while it stops": 0.15}
WORKING = 1.5
"""Up to so many times as long as it took to start, it works until it is killed; on a slow machine it works slowly."""
STOPPING_S = 0.4


def run(ground: Ground, options: Options) -> Outcome:
    """Kill it `options.kills` times; then let it finish, and compare."""
    chance, faults = random.Random(options.seed), Counter[str]()
    with installed(ground, Setup(state=options.state, settle_imports=options.settle)) as site:
        daemon, took = _started(site)
        with Life(site, options.seed) as life:
            site.kill(daemon)
            for number in range(options.kills):
                (phase,) = chance.choices(list(PHASES), list(PHASES.values()))
                faults[phase] += _killed(site, phase, chance, took)
                options.progress(number, options.kills, faults)
        site.start()
        found = settled(site)
        log = site.log()
    adopted, abandoned = log.count("import.adopted"), log.count("import.abandoned")
    notes = [f"start-up {took:.1f} s", f"{adopted} imports of a dead process adopted, {abandoned} abandoned"]
    return Outcome("kills", faults, life.did, found, notes, list(PHASES) if options.kills > 20 else ())


def _started(site: Installation) -> tuple[Daemon, float]:
    """A daemon, and the seconds from the start of its process until it was ready."""
    began = time.monotonic()
    return site.start(), time.monotonic() - began


def _killed(site: Installation, phase: str, chance: random.Random, took: float) -> bool:
    """Start it and kill it in a phase of its life; False when it had ended by itself."""
    daemon = site.spawn()
    if phase == "while it starts":
        time.sleep(chance.uniform(0, took))
    else:
        until("ready", lambda: site.answers(daemon), timeout=60)
        time.sleep(chance.uniform(0, WORKING * took))
    if phase == "while it stops":
        daemon.terminate()
        time.sleep(chance.uniform(0, STOPPING_S))
    ended = daemon.poll()
    assert ended in {None, 0}, f"the daemon ended with {ended}; see {site.home}/daemon.log"
    site.kill(daemon)
    return ended is None
