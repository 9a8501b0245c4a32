"""A real Label Studio for tests: `label_studio` for the session, `own_label_studio` to break at will.

The installed environment and a migrated, empty home (the template) are kept across runs in SYNCD_TEST_CACHE,
else ~/.cache/syncd-tests; each server runs on a copy of the template. Making both takes about a minute, once.
"""

import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest

from syncd.annotators.label_studio.local import LocalLabelStudio, Running
from syncd.annotators.label_studio.local.process import exclusive, wait_until
from tests.known_secrets import known


class LabelStudioServer:
    """One server. `url`, `token` (legacy), `pat` and `files_root` survive stop, kill, start and restart."""

    def __init__(self, home: Path, files_root: Path, extra_env: Mapping[str, str]) -> None:
        files_root.mkdir(parents=True, exist_ok=True)
        self.files_root = files_root
        self.local = LocalLabelStudio(home)
        self._port = free_port()
        self._extra_env = dict(extra_env)
        running = self.start()
        self.url = running.url
        self.username = running.username
        self.password = known(running.password)
        self.token = known(running.legacy_token)
        self.pat = known(running.token_file.read_text())

    def start(self) -> Running:
        """Start it (again), on the same port and data; returns when it answers."""
        return self.local.up(self._port, self.files_root, extra_env=self._extra_env)

    def stop(self) -> None:
        """End it in order; nothing happens when it is not running."""
        self.local.down()

    def kill(self) -> None:
        """SIGKILL, as by the out-of-memory killer; returns when it is gone."""
        pid = self.local.status().pid
        assert pid, "Label Studio is not running"
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not self.local.status().running, 10)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def label_studio_home() -> Callable[[Path], Path]:
    """Makes, at the path given, a home whose server boots in seconds: nothing left to install or migrate."""
    return home_maker()


def home_maker() -> Callable[[Path], Path]:
    """What the fixture `label_studio_home` gives, for programs."""
    cache = Path(os.environ.get("SYNCD_TEST_CACHE") or Path.home() / ".cache" / "syncd-tests")
    installed = LocalLabelStudio(cache / "label-studio")
    installed.install()
    template = installed.home / f"template-{installed.version}"
    with exclusive(installed.home / "template.lock"):
        if not template.exists():
            _make_template(template, installed.environment)

    def make(home: Path) -> Path:
        shutil.copytree(template, home, symlinks=True)
        return home

    return make


@pytest.fixture(scope="session")
def label_studio(
    label_studio_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelStudioServer]:
    """The session's server. Leave it running; make datasets of your own in it."""
    folder = tmp_path_factory.mktemp("label-studio")
    with serve(label_studio_home(folder / "home"), folder / "files", {}) as server:
        yield server


@pytest.fixture
def own_label_studio(
    label_studio_home: Callable[[Path], Path], tmp_path: Path
) -> Iterator[Callable[..., LabelStudioServer]]:
    """Starts a server for this test alone; call it with `extra_env` to change settings."""
    folders = (tmp_path / f"label-studio-{number}" for number in count())
    with contextlib.ExitStack() as servers:

        def start(extra_env: Mapping[str, str] | None = None) -> LabelStudioServer:
            folder = next(folders)
            home = label_studio_home(folder / "home")
            return servers.enter_context(serve(home, folder / "files", extra_env or {}))

        yield start


@contextlib.contextmanager
def serve(home: Path, files_root: Path, extra_env: Mapping[str, str]) -> Iterator[LabelStudioServer]:
    """A server on such a home until the context ends."""
    try:
        yield LabelStudioServer(home, files_root, extra_env)
    finally:
        LocalLabelStudio(home).down()


def _make_template(template: Path, environment: Path) -> None:
    making = template.with_name(f"{template.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    (making / environment.name).symlink_to(environment)
    local = LocalLabelStudio(making)
    try:
        local.up(free_port())
    finally:
        local.down()
    local.choices_file.unlink()  # a copy has no past
    making.rename(template)
