"""The daemon with failpoints: as `syncd`, but armed by FAILPOINT (a name) and HIT (a number from 1) in the environment.

`python -m tests.torture.daemon run --config FILE` is one daemon. `python -m tests.torture.daemon` alone is a nursery:
it has all modules loaded, and for each line of JSON on its standard input (`Order`) it forks a daemon and answers with
its process id; loading takes longer than what is to be killed. No storage client was used before the fork. It reports
an end as `PID STATUS` on its standard output.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
from typing import Any, NoReturn

from tests.torture.failpoints import Fuse, install

_HEAVY = (
    "aiobotocore.session",
    "anyio._backends._asyncio",
    "httpcore",
    "jwt",
    "obstore.store",
    "pyarrow.dataset",
    "syncd.annotators.label_studio",
    "syncd.cli",
    "syncd.clouds.aws",
    "syncd.service.daemon",
    "syncd.snapshots.store",
    "syncd.sources.seaweedfs",
)


def main() -> None:
    """One daemon, as the environment says."""
    from syncd.cli import main as syncd  # noqa: PLC0415

    install(Fuse(os.environ.get("FAILPOINT", ""), int(os.environ.get("HIT", "1"))))
    syncd()


def nursery() -> NoReturn:
    """Fork daemons until the standard input ends."""
    _load()
    _say("ready")
    living: set[int] = set()
    buffered = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.01 if living else 1.0)
        if readable:
            piece = os.read(0, 65536)
            if not piece:
                _end(living)
            *orders, buffered = (buffered + piece).split(b"\n")
            for order in orders:
                living.add(pid := _forked(json.loads(order)))
                _say(f"born {pid}")
        for pid in list(living):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                living.discard(pid)
                _say(f"{pid} {os.waitstatus_to_exitcode(status)}")


def _end(living: set[int]) -> NoReturn:
    """Without what the interpreter does at its end: there is nothing to be saved."""
    for pid in living:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _load() -> None:
    """All but Lance itself, which is not fit for forks; what it is made of takes the time."""
    for name in _HEAVY:
        importlib.import_module(name)
    gc.freeze()  # each child looks for garbage once it is up: not in what it was born with


def _forked(order: dict[str, Any]) -> int:
    """A daemon with its own log; `order`: the `failpoint`, the `hit`, the `config` and the `log`."""
    if pid := os.fork():
        return pid
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ |= {"FAILPOINT": order["failpoint"], "HIT": str(order["hit"])}
    sys.argv = ["syncd", "run", "--config", order["config"]]
    main()
    os._exit(0)


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main()
    else:
        nursery()
