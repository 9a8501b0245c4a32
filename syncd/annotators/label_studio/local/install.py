"""Installing a pinned Label Studio into an environment of its own.

Called by `server.LocalLabelStudio`. Its own environment, because it pins libraries that syncd does not.
A virtual environment cannot be moved once made, so it is built in place, and a marker file written last
tells a whole one from a half-made one.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from syncd.domain.errors import Retryable

LABEL_STUDIO_VERSION = "1.23.2"

Progress = Callable[[str], None]


def is_whole(environment: Path) -> bool:
    """Whether an installation was finished, and its interpreter is still there."""
    return (environment / _MARKER).is_file() and (environment / "bin" / "python").exists()


def install(environment: Path, version: str, log: Path, on_progress: Progress) -> None:
    """Make `environment` (about 1 GB) with uv if there is one, else with pip; nothing to do if it is whole.

    The installer's output goes to `log` and, line by line, to `on_progress`. Retryable when it fails.
    """
    if is_whole(environment):
        return
    on_progress(f"installing Label Studio {version}")
    shutil.rmtree(environment, ignore_errors=True)
    log.unlink(missing_ok=True)
    for command in _commands(environment, version):
        if _run(command, log, on_progress) != 0:
            raise Retryable(
                f"Label Studio {version} could not be installed. Check the network, the package registry and "
                f"the free disk space (1.5 GB), then try again; the installer's output is in {log}"
            )
    (environment / _MARKER).write_text(version, encoding="utf-8")


_MARKER = "complete"


def _commands(environment: Path, version: str) -> Sequence[Sequence[str]]:
    python = str(environment / "bin" / "python")
    requirement = f"label-studio=={version}"
    uv = _find_uv()
    if uv:
        # Without byte code each start costs 4 s of CPU more.
        return (
            (uv, "venv", "--python", sys.executable, str(environment)),
            (uv, "pip", "install", "--compile-bytecode", "--python", python, requirement),
        )
    return (
        (sys.executable, "-m", "venv", str(environment)),
        (python, "-m", "pip", "install", "--progress-bar", "off", requirement),
    )


def _find_uv() -> str | None:
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin  # noqa: PLC0415 - an optional dependency

        return find_uv_bin()
    return shutil.which("uv")


def _run(command: Sequence[str], log: Path, on_progress: Progress) -> int:
    with (
        log.open("a", encoding="utf-8") as out,
        subprocess.Popen(  # noqa: S603 - our own words only
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        for line in process.stdout:
            out.write(line)
            if not line.startswith(" + "):  # 158 packages by name are for the log
                on_progress(line.strip())
    return process.returncode
