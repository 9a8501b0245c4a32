"""Daemons in a tenth of the time: forked off a process that has all modules loaded (`tests.torture.daemon`)."""

import json
import os
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

from tests.torture.installation import Installation

_READY_S = 120.0


class Nursery:
    """The process that forks; a context. Its daemons end with it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.torture.daemon"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._ended: dict[int, int] = {}
        self._born: list[int] = []
        self._news = threading.Condition()
        self._ready = False
        self._reader = threading.Thread(target=self._read, name="nursery")

    def __enter__(self) -> Self:
        self._reader.start()
        with self._news:
            assert self._news.wait_for(lambda: self._ready, _READY_S), "the nursery did not come up"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for pid in self._born:
            self.kill(pid)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            words = line.split()
            with self._news:
                if words[0] == b"ready":
                    self._ready = True
                elif words[0] == b"born":
                    self._born.append(int(words[1]))
                    self._ended.pop(self._born[-1], None)  # process ids come back
                else:
                    self._ended[int(words[0])] = int(words[1])
                self._news.notify_all()

    def bear(self, site: Installation, failpoint: str = "", hit: int = 1) -> int:
        """A new daemon of an installation; its process id."""
        order = {"failpoint": failpoint, "hit": hit, "config": str(site.config), "log": str(site.home / "daemon.log")}
        born = len(self._born)
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        with self._news:
            assert self._news.wait_for(lambda: len(self._born) > born, _READY_S), "no daemon was born"
        return self._born[-1]

    def status(self, pid: int, patience: float) -> int | None:
        """How it ended, as `subprocess` says it; None while it lives after so many seconds."""
        with self._news:
            self._news.wait_for(lambda: pid in self._ended, patience)
        return self._ended.get(pid)

    def kill(self, pid: int, number: int = 9) -> None:
        """Send it a signal, unless it has ended."""
        if pid not in self._ended:
            os.kill(pid, number)
            if number == 9:
                self.status(pid, 10)


def until_ready(nursery: Nursery, pid: int, site: Installation, patience: float = 60.0) -> bool:
    """Whether it answers; False when it ended, or did not in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and nursery.status(pid, 0.05) is None:
        if site.get("/readyz") == 200:
            return True
    return False
