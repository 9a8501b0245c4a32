"""A detached server process: started in its own session, found again by another process, ended by its pid.

Called by `server.LocalLabelStudio`. Linux and macOS. A pid alone may have been given to another program since:
beside it stands the time at which the process started, and a pid whose start time differs is never signalled.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told apart from a later one with the same pid by when it started."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Whether it runs; a zombie does not."""
        ended, started = _look(self.pid)
        if not started or started != self.started:
            return False
        if not ended:
            return True
        with contextlib.suppress(ChildProcessError):  # not our child: init sees to it
            os.waitpid(self.pid, os.WNOHANG)
        return False

    def end(self, grace_s: float) -> None:
        """SIGTERM to its group, and SIGKILL after `grace_s`. Returns when it is gone."""
        for signum, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, grace_s)):
            if not self.is_alive():
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signum)
            wait_until(lambda: not self.is_alive(), wait_s)


def spawn(command: list[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start `command` as the leader of a new session, its output appended to `log`."""
    # Not subprocess.Popen: the server outlives us on purpose, and Popen warns of children nobody waited for.
    pid = os.posix_spawn(
        command[0],
        command,
        environment,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    return Process(pid, _look(pid)[1])


def port_is_free(port: int) -> bool:
    """Whether nobody listens on `port` of this host, by IPv4 or IPv6, and we may."""
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], bool], timeout_s: float, every_s: float = 0.05) -> bool:
    """Ask every `every_s` until `condition` holds; False when it did not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


@contextlib.contextmanager
def exclusive(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path`; calls `on_wait` once when another process holds it, then waits for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _look(pid: int) -> tuple[bool, str]:
    """Whether a process has ended and, as an opaque word, when it started; that is empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except ProcessLookupError:
        return True, ""
    except FileNotFoundError:
        return (True, "") if Path("/proc/self/stat").exists() else _ask_ps(pid)
    fields = stat.rpartition(")")[2].split()  # the program's name, in brackets, may hold anything
    # A zombie with threads is no zombie yet: its first thread ended, the others still hold the port.
    ended = fields[0] == "Z" and int(fields[17]) <= 1
    return ended, f"{boot}:{fields[19]}"


def _ask_ps(pid: int) -> tuple[bool, str]:
    answer = subprocess.run(  # noqa: S603 - a number is all that varies
        ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)],
        env={"LC_ALL": "C", "TZ": "UTC"},  # the same words whoever asks
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return state[:1] in ("", "Z"), started.strip()
