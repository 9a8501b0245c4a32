"""`damage`: the state file is damaged in many ways, and made anew as the message says: by `syncd state rebuild`.

A daemon does not run on a damaged file: it refuses to start, or stops once it meets the damage (exit 78), and names the
way back. A log (WAL) that is torn is no damage: what was not committed is not there. Afterwards every set is as it was.
"""

import random
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.torture.comparison import Comparison, settled
from tests.torture.ground import Ground
from tests.torture.installation import Installation, Setup, installed
from tests.torture.life import Life
from tests.torture.options import Options
from tests.torture.outcome import Outcome

LIVED_S = 15.0
PAGE = 4096
REFUSES_WITHIN_S = 60.0
CONFIG_ERROR = 78

Files = dict[str, bytes]
"""A state as its files: the database, and what SQLite keeps beside it, by the ends of their names."""


@dataclass(frozen=True)
class Way:
    """A way to damage it. `refused`: the daemon must not run on what is left."""

    name: str
    damage: Callable[[Files, random.Random], Files]
    refused: bool = True


def _flipped(data: bytes, chance: random.Random, times: int, start: int = 0) -> bytes:
    changed = bytearray(data)
    for _ in range(times):
        changed[chance.randrange(start, len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwritten(data: bytes, chance: random.Random) -> bytes:
    """A quarter of the pages behind the first is noise."""
    pages = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
    spoilt = set(chance.sample(range(1, len(pages)), max(1, len(pages) // 4)))
    return b"".join(chance.randbytes(PAGE) if number in spoilt else page for number, page in enumerate(pages))


WAYS = (
    Way("bytes flipped in every page", lambda f, c: {"": _flipped(f[""], c, len(f[""]) // PAGE * 8, 100)}),
    Way("pages overwritten", lambda f, c: {"": _overwritten(f[""], c)}),
    Way("cut in half", lambda f, _: {"": f[""][: len(f[""]) // PAGE // 2 * PAGE]}),
    Way("cut within a page", lambda f, _: {"": f[""][: len(f[""]) // 2 + 1]}),
    Way("header overwritten", lambda f, c: {"": c.randbytes(100) + f[""][100:]}),
    Way("replaced by rubbish", lambda f, c: {"": c.randbytes(len(f[""]))}),
    Way("gone", lambda *_: {}),
    Way("log cut off", lambda f, _: f | {"-wal": f["-wal"][: len(f["-wal"]) // 2 + 7]}, refused=False),
    Way("log flipped", lambda f, c: f | {"-wal": _flipped(f["-wal"], c, 40)}, refused=False),
)


def run(ground: Ground, options: Options) -> Outcome:
    """Each way in turn, from the state that a kill left behind; compared after each."""
    chance, faults = random.Random(options.seed), Counter[str]()
    found = Comparison()
    with installed(ground, Setup(settle_imports=5)) as site:
        for number, way in enumerate(WAYS):
            life = _lived(site, options.seed + number)
            files = {"": _checkpointed(site)} if way.refused else _read(site)
            _write(site, way.damage(files, chance))
            faults[way.name] += 1
            found.wrong += [f"{way.name}: {line}" for line in _refused(site, way)]
            _repair(site, way)
            daemon = site.start()
            now = settled(site)
            found.sizes, found.wrong = now.sizes, found.wrong + [f"{way.name}: {line}" for line in now.wrong]
            site.kill(daemon)
            options.progress(number, len(WAYS), faults + Counter(wrong=len(found.wrong)))
    return Outcome("damage", faults, life.did, found)


def _lived(site: Installation, seed: int) -> Life:
    """Some life, until a kill."""
    daemon = site.start()
    with Life(site, seed, keys=60) as life:
        time.sleep(LIVED_S)
        site.kill(daemon)
    return life


def _file(site: Installation, end: str = "") -> Path:
    return site.home / "data" / f"state.db{end}"


def _read(site: Installation) -> Files:
    return {end: _file(site, end).read_bytes() for end in ("", "-wal") if _file(site, end).exists()}


def _checkpointed(site: Installation) -> bytes:
    """The database with its log brought in."""
    with closing(sqlite3.connect(_file(site))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return _file(site).read_bytes()


def _write(site: Installation, files: Files) -> None:
    for end in ("", "-wal", "-shm"):
        _file(site, end).unlink(missing_ok=True)
    for end, data in files.items():
        _file(site, end).write_bytes(data)


def _refused(site: Installation, way: Way) -> list[str]:
    """What is wrong with how the daemon takes it."""
    if not way.refused:
        return []
    before = len(site.log())
    daemon = site.spawn()
    try:
        code = daemon.wait(REFUSES_WITHIN_S)
    except subprocess.TimeoutExpired:
        site.kill(daemon)
        return ["the daemon runs on a damaged state"]
    said = site.log()[before:]
    wrong = [] if code == CONFIG_ERROR else [f"exit {code}: {said[-500:]}"]
    return wrong if "syncd state rebuild" in said else [*wrong, f"no way back is named: {said[-500:]}"]


def _repair(site: Installation, way: Way) -> None:
    """Go the documented way back."""
    if way.refused:
        done = site.cli("state", "rebuild")
        assert done.returncode == 0, done.stderr
