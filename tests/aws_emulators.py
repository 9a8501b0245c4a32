"""Emulators of S3, SQS, SNS and EventBridge for tests: ministack and moto, one server of each for the whole run.

Ask for the fixture `ministack`, `moto`, or `aws`, which runs a test on both: they disagree on the encoding of keys,
on stale receipts, on sequencers and on events of multipart uploads. Every test makes its own queues and buckets.
They know no wrong credentials. moto comes with the environment; ministack pins another botocore than aiobotocore
does, and lives in an environment of its own, made once in SYNCD_TEST_CACHE, else ~/.cache/syncd-tests.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.annotators.label_studio.local.process import exclusive

VERSION = "1.5.33"
REGION = "us-east-1"
KEY = "test"
"""Key id and secret; ministack checks presigned URLs against this one."""
_UP_WITHIN = 60.0


@dataclass(frozen=True)
class Emulator:
    """A running server: one endpoint for all services."""

    name: str
    endpoint: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which the usual chain finds it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A ministack server."""
    with emulator("ministack", tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A moto server."""
    with emulator("moto", tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(params=["ministack", "moto"])
def aws(request: pytest.FixtureRequest) -> Emulator:
    """Each of them in turn."""
    server: Emulator = request.getfixturevalue(request.param)
    return server


@contextmanager
def emulator(name: str, home: Path) -> Iterator[Emulator]:
    """A server of its own, `ministack` or `moto`, until the context ends; its log is in `home`."""
    port = _free_port()
    server = _started(home, _command(name, port), port)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(f"{endpoint}/{'_ministack/health' if name == 'ministack' else 'moto-api/'}", server, home)
        yield Emulator(name, endpoint)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _command(name: str, port: int) -> list[str]:
    if name == "ministack":
        return [str(_installed() / "bin" / "ministack")]
    return [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]


def _started(home: Path, command: Sequence[str], port: int) -> subprocess.Popen[bytes]:
    own = {"HOME": str(home), "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | own
    with (home / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log, start_new_session=True)


def _installed() -> Path:
    """ministack's environment, made when it is not there yet."""
    cache = Path(os.environ.get("SYNCD_TEST_CACHE") or Path.home() / ".cache" / "syncd-tests")
    home = cache / "ministack" / VERSION
    home.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(home.with_suffix(".lock")):
        if not (home / "done").exists():
            shutil.rmtree(home, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(home))
            _uv("pip", "install", "--python", str(home / "bin" / "python"), f"ministack=={VERSION}")
            (home / "done").touch()
    return home


def _uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "uv"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, f"uv {' '.join(arguments[:2])} failed:\n{ran.stderr[-2000:]}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(url: str, server: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + _UP_WITHIN
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"it did not start:\n{(home / 'log').read_text()[-2000:]}") from None
            time.sleep(0.1)
        else:
            return
