"""`proxy`: all that passes between the daemon and the others is spoilt now and then, for some minutes.

Between syncd and Label Studio both ways (its webhooks, too), between syncd and S3 both ways, and on the way to
PostgreSQL. In the second half requests are held up for up to three seconds.
"""

import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.label_studio import free_port
from tests.torture.comparison import settled
from tests.torture.ground import Ground
from tests.torture.installation import installed
from tests.torture.life import Life
from tests.torture.mischief import CUT, ERROR, RESET, RESET_WITHIN, TRICKLED, TRUNCATED, Mischief
from tests.torture.options import Options
from tests.torture.outcome import Outcome
from tests.torture.proxy import Proxies

LONG_S = 3.0
STEPS = 20
ON_A_WIRE = {RESET: 0.01}
"""What happens to the pieces that pass to PostgreSQL."""


def run(ground: Ground, options: Options) -> Outcome:
    """Spoil for `options.minutes`; then stop, and compare."""
    mischief = {name: Mischief(options.seed + n) for n, name in enumerate(("to the tool", "to S3", "to syncd"))}
    with Proxies() as proxies, installed(ground) as site:
        site.change(**_wired(proxies, ground, mischief, options))
        _spoil(mischief, now=False)  # who starts without its database ends at once: its supervisor starts it again
        daemon = site.start()
        _spoil(mischief, now=True)
        with Life(site, options.seed) as life:
            _endure(mischief, options)
            _spoil(mischief, now=False)
        assert daemon.poll() is None, f"the daemon ended; see {site.home}/daemon.log"
        found = settled(site, patience=240)
        requests = sum(each.passed for each in mischief.values())
    faults = sum((each.done for each in mischief.values()), Counter[str]())
    notes = [f"{requests:,} requests"] + [f"{name}: {dict(each.done)}" for name, each in mischief.items()]
    return Outcome("proxy", faults, life.did, found, notes, (RESET, RESET_WITHIN, CUT, ERROR, TRUNCATED, TRICKLED))


def _wired(proxies: Proxies, ground: Ground, mischief: dict[str, Mischief], options: Options) -> dict[str, str | float]:
    """The setup in which everything passes a proxy."""
    own = free_port()
    tool = proxies.http(_port(ground.studio.url), mischief["to the tool"])
    s3 = proxies.http(_port(ground.weed.server.endpoint), mischief["to S3"])
    inside = proxies.http(own, mischief["to syncd"], ground.weed.port)
    state = options.state
    if state:
        mischief["to PostgreSQL"] = Mischief(options.seed, ON_A_WIRE.copy(), delayed=0.02, longest=0.05)
        state = _database(proxies, state, mischief["to PostgreSQL"], ground)
    return {
        "studio": f"http://127.0.0.1:{tool}",
        "s3": f"http://127.0.0.1:{s3}",
        "public_url": f"http://127.0.0.1:{inside}",
        "port": own,
        "state": state,
        "settle_imports": options.settle,
    }


def _database(proxies: Proxies, state: str, mischief: Mischief, ground: Ground) -> str:
    """The URL by which it is reached through a proxy: in place of the socket's folder, another."""
    folder, socket = Path(parse_qs(urlsplit(state).query)["host"][0]), ".s.PGSQL.5432"
    ours = ground.folder()
    proxies.unix(ours / socket, folder / socket, mischief)
    return state.replace(f"host={folder}", f"host={ours}")


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port, url
    return port


def _spoil(mischief: dict[str, Mischief], *, now: bool) -> None:
    for each in mischief.values():
        each.active = now


def _endure(mischief: dict[str, Mischief], options: Options) -> None:
    """Let the time pass; in its second half it gets slow."""
    for step in range(STEPS):
        if step == STEPS // 2:
            for name in ("to the tool", "to S3"):
                mischief[name].longest = LONG_S
        time.sleep(options.minutes * 60 / STEPS)
        done = sum((each.done for each in mischief.values()), Counter[str]())
        options.progress(step, STEPS, done)
