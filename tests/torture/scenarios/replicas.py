"""`replicas`: three daemons on one PostgreSQL; they are killed, and paused past their leases, with life going on."""

import random
import signal
import time
from collections import Counter

from tests.label_studio import free_port
from tests.torture.comparison import settled
from tests.torture.ground import Ground
from tests.torture.installation import Daemon, Installation, Setup, installed
from tests.torture.life import Life
from tests.torture.options import Options
from tests.torture.outcome import Outcome

REPLICAS = 3
LEASE_S = 4.0
BETWEEN_S = 3.0
SHARE = 5
"""One act for so many kills of the scenario `kills`: each takes longer here."""
KILLED, PAUSED = "killed", "paused past its lease"


def run(ground: Ground, options: Options) -> Outcome:
    """Kill or pause one of them, again and again; then compare."""
    chance, faults = random.Random(options.seed), Counter[str]()
    acts = max(2, options.kills // SHARE)
    with installed(ground, Setup(state=options.state, settle_imports=options.settle, lease=LEASE_S)) as site:
        ports = [site.port, *(free_port() for _ in range(REPLICAS - 1))]
        first = site.start()  # it makes the project, which Label Studio would let several make at once
        daemons = {port: first if port == site.port else _start(site, port) for port in ports}
        with Life(site, options.seed) as life:
            for number in range(acts):
                time.sleep(chance.uniform(0, BETWEEN_S))
                act = (KILLED, PAUSED)[number % 2]
                port = chance.choice(ports)
                (_kill if act == KILLED else _pause)(site, daemons, port, chance)
                faults[act] += 1
                options.progress(number, acts, faults)
        found = settled(site)
        found.wrong += [f"a daemon ended with {d.poll()}" for d in daemons.values() if d.poll() is not None]
    return Outcome("replicas", faults, life.did, found, [], (KILLED, PAUSED))


def _start(site: Installation, port: int) -> Daemon:
    return site.spawn(env={"SYNCD_RECEIVER__PORT": str(port)})


def _kill(site: Installation, daemons: dict[int, Daemon], port: int, chance: random.Random) -> None:
    """The others take over; it comes back a while later."""
    site.kill(daemons[port])
    time.sleep(chance.uniform(0, LEASE_S * 1.5))
    daemons[port] = _start(site, port)


def _pause(site: Installation, daemons: dict[int, Daemon], port: int, chance: random.Random) -> None:
    """It goes on in the middle of what it did, and its claims are another's by now."""
    daemons[port].send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(LEASE_S * 1.1, LEASE_S * 2.5))
    daemons[port].send_signal(signal.SIGCONT)
