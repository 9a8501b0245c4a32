"""`clock`: the wall clock is set while work goes on, ten minutes and an hour either way; timers go on as they do."""

import time
from collections import Counter

from tests.torture.comparison import settled
from tests.torture.ground import Ground
from tests.torture.installation import Setup, installed
from tests.torture.life import Life
from tests.torture.options import Options
from tests.torture.outcome import Outcome
from tests.torture.shim import Shim

MOVES = (600, -600, 0, 3600, 0, -3600, 3600, -600, 0)
"""Seconds from the true time; one is set after the other."""
STAY_S = 12.0


def run(ground: Ground, options: Options) -> Outcome:
    """Set it again and again; at last rightly, and compare."""
    faults = Counter[str]()
    with installed(ground, Setup(state=options.state, settle_imports=options.settle)) as site:
        shim = Shim(site.home)
        daemon = site.spawn(env=shim.environment(site.home / "nothing"))
        with Life(site, options.seed, objects=0.4, answers=0.5) as life:
            for number, seconds in enumerate(MOVES):
                time.sleep(STAY_S)
                shim.set_clock(seconds)
                faults[f"moved to {seconds / 60:+g} min"] += 1
                options.progress(number, len(MOVES), faults)
            time.sleep(STAY_S)
        assert daemon.poll() is None, f"the daemon ended; see {site.home}/daemon.log"
        moved = {line[line.find('"timestamp"') :][14:27] for line in site.log().splitlines() if '"timestamp"' in line}
        found = settled(site, patience=180)
    return Outcome("clock", faults, life.did, found, [f"hours that the log shows: {sorted(moved)}"])
