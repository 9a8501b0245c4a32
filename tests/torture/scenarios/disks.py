"""`disk-full`: syncs fail, writes fail, and a real small file system is full, while events keep coming.

Nothing is acknowledged that is not on the disk: while the disk fails every answer is 503, and what was acknowledged
before is in the state file after kill -9 in the middle of it. Lost events would show, for nothing else tells of the
objects: the buckets are not listed again.
"""

import asyncio
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from syncd.domain.model import ObjectRef
from tests.label_studio import free_port
from tests.torture.comparison import Comparison, differing, settled
from tests.torture.ground import Ground
from tests.torture.installation import Installation, Setup, installed
from tests.torture.options import Options
from tests.torture.outcome import UNANSWERED, Outcome
from tests.torture.sender import Sender, created
from tests.torture.shim import Shim

HEALTHY_S, FAILING_S = 4.0, 6.0
SIZE = "24m"
ROUNDS = 3
BATCH = 500
SYNC, FULL, REALLY_FULL = "sync", "full", "file system full"


def run(ground: Ground, options: Options) -> Outcome:
    """Fail in each way, `ROUNDS` times; then compare."""
    faults, found = Counter[str](), Comparison()
    with small_disk(ground.folder()) as (disk, mounted):
        setup = Setup(
            state=f"sqlite:///{disk}/state.db",
            port=free_port(),
            every=3600,
            source='type = "http"',
            on_delete="keep",
            batch=BATCH,
        )
        with installed(ground, setup) as site:
            shim, sender = Shim(site.home), Sender(site)
            daemon = site.start(env=shim.environment(disk))
            with _sending(site, sender):
                for how in (SYNC, FULL, REALLY_FULL if mounted else FULL) * ROUNDS:
                    time.sleep(HEALTHY_S)
                    found.wrong += _fail(site, shim, sender, how, disk)
                    faults[how] += 1
                    assert daemon.poll() is None, f"the daemon ended; see {site.home}/daemon.log"
                    site.kill(daemon)
                    _heal(shim, disk)
                    found.wrong += _lost(site, sender, disk / "state.db")
                    daemon = site.start(env=shim.environment(disk))
                time.sleep(HEALTHY_S)
            last = settled(site)
            found.sizes, found.wrong = last.sizes, found.wrong + last.wrong
    faults["failed calls"] = shim.failures
    statuses = Counter({str(status): times for status, times in sender.statuses.items()})
    if not sender.statuses[503]:
        found.wrong.append("nothing was answered 503")
    notes = [] if mounted else ["no small file system: may not mount"]
    return Outcome("disk-full", faults, statuses, found, notes, shown=UNANSWERED)


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """A small file system of its own, and whether it is one: mounting needs the right to."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield folder, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _sending(site: Installation, sender: Sender) -> Iterator[None]:
    """Objects are written and told of until the context ends; then until all are acknowledged."""
    over = threading.Event()

    def send() -> None:
        for number in count():
            if over.is_set() or sender.given_up:
                return
            asyncio.run(_told(site, sender, [f"{number}/{n}.jpg" for n in range(10)]))

    thread = threading.Thread(target=send, name="sender")
    thread.start()
    try:
        yield
    except BaseException:
        sender.given_up = True
        raise
    finally:
        over.set()
        thread.join()


async def _told(site: Installation, sender: Sender, keys: list[str]) -> None:
    await asyncio.gather(*(site.bucket.put(key, f"object {key}".encode()) for key in keys))
    await sender.send(map(created, keys))


def _fail(site: Installation, shim: Shim, sender: Sender, how: str, disk: Path) -> Iterator[str]:
    """Let the disk fail for a while; what was wrong with the answers."""
    if how == REALLY_FULL:
        _fill(disk)
    else:
        shim.fail(how)
    began = time.monotonic()
    time.sleep(FAILING_S)
    ready, alive = site.get("/readyz"), site.get("/livez")
    meanwhile = [a for a in sender.answers if a.sent > began and a.answered < time.monotonic()]
    if how != REALLY_FULL:  # there, what has room in the file already is truly written
        yield from (f"acknowledged while the disk fails ({how})" for a in meanwhile if 200 <= a.status < 300)
        if ready != 503:
            yield f"/readyz answers {ready} while the disk fails ({how})"
    if alive != 200:
        yield f"/livez answers {alive} while the disk fails ({how})"


def _fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"\0" * 4096)
        except OSError:
            return


def _heal(shim: Shim, disk: Path) -> None:
    shim.heal()
    (disk / "ballast").unlink(missing_ok=True)


def _lost(site: Installation, sender: Sender, state: Path) -> Iterator[str]:
    """Keys that were acknowledged and of which the state file knows nothing."""
    with closing(sqlite3.connect(state)) as file:
        marked = {
            ObjectRef.from_id(id_).key for (id_,) in file.execute("SELECT id FROM subjects WHERE kind = 'object'")
        }
        recorded = {key for (key,) in file.execute("SELECT key FROM records")}
    yield from differing("acknowledged, and not in the state", sender.acknowledged - marked - recorded)
