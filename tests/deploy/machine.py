"""A machine of its own under a real systemd, for the units: this system's files under a layer that is thrown away.

`systemd-nspawn` boots systemd as process 1 in namespaces of its own: no network but its loopback, a control group of
its own, and a root that is an overlay on this one, so that nothing is installed or downloaded and nothing is left.
Python, its libraries and this repository are shown to it below /opt, for homes are closed to the service. Needs root,
Debian's packages systemd, systemd-sysv, systemd-container and dbus, and a kernel with overlays and cgroup v2.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BOOT_S, _END_S = 90, 30
_TARGET = "[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n"
_PROGRAM = """#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONHOME=/opt/python PYTHONPATH=/opt/repository:/opt/libraries
exec /opt/python/bin/python3 -m syncd "$@"
"""


@dataclass(frozen=True)
class Machine:
    """A machine that is up. `root`: its files; `leader`: its process 1, as we see it."""

    root: Path
    leader: int

    def run(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        """What a command says, run inside as root."""
        enter = ["nsenter", "--target", str(self.leader), "--all", "--", *command]
        done = subprocess.run(enter, capture_output=True, text=True, check=False, timeout=timeout)
        assert not check or done.returncode == 0, f"{command}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout.strip()

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """As inside; waits until it is done."""
        return self.run("systemctl", *arguments, check=check, timeout=180)

    def start(self, unit: str) -> None:
        """Start a unit; returns when it is ready."""
        self.systemctl("start", unit, check=False)
        state = self.shown(unit, "ActiveState")
        assert state == "active", f"{unit} is {state}: {self.log(unit)[-3000:]}"

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit, check=False)

    def log(self, unit: str) -> str:
        """What a unit wrote."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def until(self, what: str, check: Callable[[], bool], timeout: float = 60) -> None:
        """Ask again until it is true."""
        deadline = time.monotonic() + timeout
        while not check():
            assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
            time.sleep(0.2)


@contextmanager
def booted(folder: Path, name: str) -> Iterator[Machine]:
    """A machine, its files in an empty folder, until the context ends."""
    with ExitStack() as stack:
        root = stack.enter_context(_layered(folder))
        _furnish(root)
        group = stack.enter_context(_control_group(name))
        with (folder / "console").open("wb") as console:
            shell = f'echo $$ > "{group}/cgroup.procs"; exec "$@"'
            environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
            command = ["sh", "-c", shell, "sh", *_nspawn(root, name)]
            host = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment)
        stack.callback(_end, host)
        machine = Machine(root, _leader(host, group))
        stack.callback(machine.systemctl, "exit", check=False)  # before its host is ended
        machine.until("up", lambda: machine.shown("units.target", "ActiveState") == "active", _BOOT_S)
        yield machine


@contextmanager
def _layered(folder: Path) -> Iterator[Path]:
    """This system's root under a layer in memory."""
    with _mounted(folder, "-t", "tmpfs", "tmpfs"):
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        options = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        with _mounted(folder / "root", "-t", "overlay", "overlay", "-o", options):
            yield folder / "root"


@contextmanager
def _mounted(place: Path, *what: str) -> Iterator[None]:
    subprocess.run(["mount", *what, str(place)], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, timeout=30)


def _furnish(root: Path) -> None:
    """What is installed as the head of the unit says, and a target that starts none of this system's services."""
    (root / "etc/machine-id").write_text("")
    units = root / "etc/systemd/system"
    shutil.rmtree(units, ignore_errors=True)
    units.mkdir(parents=True)
    (units / "units.target").write_text(_TARGET)
    for unit in (ROOT / "systemd").iterdir():
        shutil.copy(unit, units)
    program = root / "usr/local/bin/syncd"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    for place in ("python", "libraries", "repository"):
        (root / "opt" / place).mkdir(parents=True, exist_ok=True)


def _nspawn(root: Path, name: str) -> list[str]:
    shown = {"python": sys.base_prefix, "libraries": sysconfig.get_path("purelib"), "repository": str(ROOT)}
    binds = [f"--bind-ro={source}:/opt/{place}" for place, source in shown.items()]
    quiet = ["--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe"]
    program = shutil.which("systemd-nspawn")
    assert program, "systemd-nspawn is missing: apt-get install systemd-container"
    where = [f"--directory={root}", f"--machine={name}", "--private-network", *binds]
    return [program, *quiet, *where, "--boot", "systemd.unit=units.target"]


@contextmanager
def _control_group(name: str) -> Iterator[Path]:
    """A group of the unified hierarchy, so that the machine's systemd has one of its own to divide."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    top = next(Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2")
    group = top / name
    group.mkdir()
    try:
        yield group
    finally:
        (group / "cgroup.kill").write_text("1")  # whoever is left in it, and nobody else
        deadline = time.monotonic() + _END_S
        while "populated 1" in (group / "cgroup.events").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        for inner in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
            inner.rmdir()
        group.rmdir()


def _leader(host: subprocess.Popen[bytes], group: Path) -> int:
    """The machine's process 1: the first in its control group."""
    deadline = time.monotonic() + _BOOT_S
    first = group / "payload" / "init.scope" / "cgroup.procs"
    while not (first.exists() and first.read_text().split()):
        assert host.poll() is None, f"systemd-nspawn ended with {host.returncode}"
        assert time.monotonic() < deadline, "systemd did not begin"
        time.sleep(0.1)
    return int(first.read_text().split()[0])


def _end(host: subprocess.Popen[bytes]) -> None:
    try:
        host.wait(_END_S)
    except subprocess.TimeoutExpired:
        host.kill()
        host.wait()
