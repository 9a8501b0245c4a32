"""What the figures were measured on: the machine, Python, servers. Called by `python -m tests.bench`."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from syncd.annotators.label_studio.local import LABEL_STUDIO_VERSION


def machine() -> str:
    """Processor, cores, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    kernel = f"{platform.system()} {platform.release()}"
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB, {kernel}, Python {platform.python_version()}"


def versions(servers: Sequence[str]) -> str:
    """Those of servers and libraries measured against, each after a comma."""
    return "".join(f", {name} {_version(name)}" for name in servers)


def _version(name: str) -> str:
    return LABEL_STUDIO_VERSION if name == "label-studio" else version(name)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
