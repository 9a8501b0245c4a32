"""`label-studio-down`: Label Studio is killed and comes back later, and hangs without a word, with life going on."""

import os
import signal
import time
from collections import Counter

from tests.torture.comparison import settled
from tests.torture.ground import Ground
from tests.torture.installation import Setup, installed
from tests.torture.life import Life
from tests.torture.options import Options
from tests.torture.outcome import Outcome

BETWEEN_S = 10.0
HUNG = "hung"
KILLED = "killed"


def run(ground: Ground, options: Options) -> Outcome:
    """Down for a sixth of the minutes, hung for as long, twice; then compare."""
    away, faults = options.minutes * 60 / 6, Counter[str]()
    with installed(ground, Setup(state=options.state, settle_imports=options.settle)) as site:
        daemon = site.start()
        with Life(site, options.seed) as life:
            for number, how in enumerate((KILLED, HUNG, KILLED, HUNG)):
                time.sleep(BETWEEN_S)
                _away(ground, how, away)
                faults[how] += 1
                options.progress(number, 4, faults)
            time.sleep(BETWEEN_S)
        assert daemon.poll() is None, f"the daemon ended; see {site.home}/daemon.log"
        found = settled(site, patience=240)
    faults["refused or unanswered"] = site.log().count("flow.failed")
    notes = [f"{away:.0f} s away each time"]
    return Outcome("label-studio-down", faults, life.did, found, notes, (KILLED, HUNG))


def _away(ground: Ground, how: str, seconds: float) -> None:
    """Label Studio does not answer for a while."""
    if how == KILLED:
        ground.studio.kill()
        time.sleep(seconds)
        ground.studio.start()
        return
    pid = ground.studio.local.status().pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
