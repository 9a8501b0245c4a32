"""A Label Studio on this machine, managed by syncd: installed, started, given credentials, stopped.

Called by `syncd label-studio`, the demo and the tests. For one person trying things out: Django's development
server on SQLite, bound to loopback. Sync: an async caller uses a thread.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from syncd.annotators.label_studio.local import access
from syncd.annotators.label_studio.local.install import LABEL_STUDIO_VERSION, Progress, install, is_whole
from syncd.annotators.label_studio.local.process import Process, exclusive, port_is_free, spawn, wait_until
from syncd.annotators.label_studio.local.settings import (
    Credentials,
    inherited,
    make_credentials,
    read_choices,
    read_credentials,
    settings,
    write_choices,
    write_private,
)
from syncd.domain.errors import ConfigError, Problem, Retryable

STOP_GRACE_S = 20.0
LOG_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers and accepts the token in `token_file` (a personal access token)."""

    url: str
    username: str
    password: str = field(repr=False)
    token_file: Path
    legacy_token: str = field(repr=False)
    pid: int
    files_root: Path | None


@dataclass(frozen=True, slots=True)
class Status:
    """What is there. `installed` is a version or None; `url` and `pid` are None when it does not run."""

    installed: str | None
    running: bool
    healthy: bool
    url: str | None
    pid: int | None
    username: str | None
    token_file: Path
    log: Path


@dataclass(frozen=True, slots=True)
class _Server:
    """What the pid file holds. `settings` is a digest: other settings mean a restart."""

    process: Process
    port: int
    settings: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class LocalLabelStudio:
    """One Label Studio with all its data under `home`. Several of them do not disturb each other."""

    def __init__(self, home: Path, *, version: str = LABEL_STUDIO_VERSION) -> None:
        self.home = home.absolute()
        self.version = version
        self.environment = self.home / f"env-{version}"
        self.credentials_file = self.home / "credentials.json"
        self.token_file = self.home / "token"
        self.choices_file = self.home / "choices.json"
        self.log = self.home / "server.log"
        self._pid_file = self.home / "server.json"

    def install(self, on_progress: Progress = lambda line: None) -> None:
        """Install this version if it is not there (about 1 GB). Retryable when that fails."""
        with self._exclusive(on_progress):
            self._install(on_progress)

    def up(
        self,
        port: int | None = None,
        files_root: Path | None = None,
        *,
        on_progress: Progress = lambda line: None,
        extra_env: Mapping[str, str] | None = None,
        timeout_s: float = 240,
    ) -> Running:
        """Install if need be, start, and prove the credentials. Idempotent; other settings mean a restart.

        None: as the server that runs or ran last has it; at first port 8080 and no files.
        `files_root`: a local storage of a folder below it makes the files there visible to annotators.
        ConfigError when the port is taken or `files_root` is no folder; Retryable when the installation
        fails or the server does not come up within `timeout_s`: then it was stopped again.
        """
        with self._exclusive(on_progress):
            before = read_choices(self.choices_file)
            chosen = before.replaced(port, files_root and files_root.resolve())
            _check_folder(chosen.files_root)
            self._install(on_progress)
            credentials = read_credentials(self.credentials_file) or make_credentials(self.credentials_file)
            wanted = settings(self.home, credentials, chosen.files_root) | dict(extra_env or {})
            self._make_way(chosen.port, wanted, before.changes(chosen), on_progress)
            server = self._ensure_server(chosen.port, wanted, credentials, on_progress, timeout_s)
            write_choices(self.choices_file, chosen)
        return Running(
            url=server.url,
            username=credentials.username,
            password=credentials.password,
            token_file=self.token_file,
            legacy_token=credentials.legacy_token,
            pid=server.process.pid,
            files_root=chosen.files_root,
        )

    def down(self) -> bool:
        """Stop the server; False when none was running. Never touches a process it did not start."""
        with self._exclusive(lambda line: None):
            return self._stop()

    def status(self) -> Status:
        """What is installed, and whether it runs and answers. Changes nothing."""
        server = self._server()
        credentials = read_credentials(self.credentials_file)
        return Status(
            installed=self.version if is_whole(self.environment) else None,
            running=server is not None,
            healthy=server is not None and access.is_healthy(server.url),
            url=server.url if server else None,
            pid=server.process.pid if server else None,
            username=credentials.username if credentials else None,
            token_file=self.token_file,
            log=self.log,
        )

    def _install(self, on_progress: Progress) -> None:
        install(self.environment, self.version, self.home / "install.log", on_progress)

    def _make_way(self, port: int, wanted: Mapping[str, str], changes: str, on_progress: Progress) -> None:
        """Stop a running server that is not as wanted, once it is clear that the wanted one can start."""
        server = self._server()
        # Label Studio itself would silently go on to the next port.
        if (server is None or server.port != port) and not port_is_free(port):
            raise ConfigError([Problem("port", str(port), "a free port; another program has this one")])
        if server and (server.port, server.settings) != (port, _digest(wanted)):
            on_progress(f"restarting Label Studio: {changes or 'its settings changed'}")
            self._stop()

    def _ensure_server(
        self,
        port: int,
        wanted: Mapping[str, str],
        credentials: Credentials,
        on_progress: Progress,
        timeout_s: float,
    ) -> _Server:
        """The running server, else a new one; proven either way."""
        if server := self._server():
            on_progress("Label Studio is already up")
            self._prove(server, credentials, on_progress, timeout_s)
            return server
        server = self._start(port, wanted, on_progress)
        try:
            self._prove(server, credentials, on_progress, timeout_s)
        except BaseException:  # an interrupt as well: up leaves a proven server, or none
            self._stop()
            raise
        return server

    def _start(self, port: int, wanted: Mapping[str, str], on_progress: Progress) -> _Server:
        first = not (self.home / "data" / "label_studio.sqlite3").exists()
        on_progress("starting Label Studio" + (" for the first time: making its database" if first else ""))
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        program = str(self.environment / "bin" / "label-studio")
        command = [program, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
        server = _Server(spawn(command, inherited() | dict(wanted), self.log), port, _digest(wanted))
        write_private(self._pid_file, json.dumps(asdict(server)))
        return server

    def _prove(self, server: _Server, credentials: Credentials, on_progress: Progress, timeout_s: float) -> None:
        """Wait until it answers, and see that it accepts the token; Retryable when not."""
        if not wait_until(
            lambda: not server.process.is_alive() or access.is_healthy(server.url), timeout_s, every_s=0.2
        ):
            raise Retryable(f"Label Studio did not answer within {timeout_s:.0f} s. {self._log_tail()}")
        if not server.process.is_alive():
            raise Retryable(f"Label Studio ended while it started. {self._log_tail()}")
        try:
            self._ensure_token(server.url, credentials, on_progress)
        except httpx.HTTPError as error:
            what = f"Label Studio at {server.url} broke off ({type(error).__name__})"
            raise Retryable(f"{what}. {self._log_tail()}") from None

    def _ensure_token(self, url: str, credentials: Credentials, on_progress: Progress) -> None:
        if self.token_file.exists() and access.who_is(url, self.token_file.read_text(encoding="utf-8").strip()):
            return
        on_progress("making an access token")
        write_private(self.token_file, access.make_pat(url, credentials.username, credentials.password))

    def _stop(self) -> bool:
        server = self._server()
        if server:
            server.process.end(STOP_GRACE_S)
        self._pid_file.unlink(missing_ok=True)
        return server is not None

    def _server(self) -> _Server | None:
        """The server of the pid file, if it still runs."""
        if not self._pid_file.exists():
            return None
        stored = json.loads(self._pid_file.read_text(encoding="utf-8"))
        server = _Server(Process(**stored["process"]), stored["port"], stored["settings"])
        return server if server.process.is_alive() else None

    def _log_tail(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            return "\n".join([f"The end of {self.log}:", *lines[-LOG_TAIL_LINES:]])
        return f"It wrote nothing to {self.log}"

    @contextlib.contextmanager
    def _exclusive(self, on_progress: Progress) -> Iterator[None]:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(self.home / "lock", lambda: on_progress("waiting for another syncd label-studio")):
            yield


def default_data_dir() -> Path:
    """Where syncd keeps its data: SYNCD_DATA_DIR, else XDG_DATA_HOME/syncd, else ~/.local/share/syncd."""
    if chosen := os.environ.get("SYNCD_DATA_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "syncd"


def _digest(wanted: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def _check_folder(files_root: Path | None) -> None:
    if files_root and not files_root.is_dir():
        raise ConfigError([Problem("files", str(files_root), "a folder that exists")])
