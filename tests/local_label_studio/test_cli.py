"""`syncd label-studio` as a person or a script uses it."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from syncd.annotators.label_studio.local import LocalLabelStudio, default_data_dir
from syncd.cli import main
from tests.label_studio import free_port

Syncd = Callable[..., tuple[int, str, str]]


@pytest.fixture
def syncd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Syncd:
    """Runs the command line; gives exit code, standard output and standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["syncd", "label-studio", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def data_dir(label_studio_home: Callable[[Path], Path], tmp_path: Path) -> Iterator[Path]:
    """A data directory with an installed Label Studio that does not run."""
    home = label_studio_home(tmp_path / "data" / "label-studio")
    yield home.parent
    LocalLabelStudio(home).down()


def test_up_tells_where_things_are_and_down_ends_it(syncd: Syncd, data_dir: Path, tmp_path: Path) -> None:
    port, home = free_port(), data_dir / "label-studio"
    url = f"http://127.0.0.1:{port}"
    code, stdout, stderr = syncd("up", "--port", port, "--files", tmp_path, "--data-dir", data_dir)
    assert code == 0, stderr
    assert url in stdout
    assert str(home / "token") in stdout
    assert "starting Label Studio" in stderr
    for secret in (home / "token").read_text(), json.loads((home / "credentials.json").read_text())["password"]:
        assert secret not in stdout + stderr

    assert url in syncd("status", "--data-dir", data_dir)[1]
    found = json.loads(syncd("status", "--json", "--data-dir", data_dir)[1])
    assert (found["running"], found["healthy"], found["url"]) == (True, True, url)

    assert syncd("down", "--data-dir", data_dir)[1] == "Label Studio is stopped.\n"
    assert syncd("down", "--data-dir", data_dir)[1] == "Label Studio was not running.\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_up_keeps_what_is_not_said_anew_and_says_what_changes(syncd: Syncd, data_dir: Path, tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    first = syncd("up", "--port", port, "--files", tmp_path, "--data-dir", data_dir)[1]
    code, stdout, stderr = syncd("up", "--data-dir", data_dir)
    assert (code, stdout) == (0, first)
    assert "already up" in stderr
    code, stdout, stderr = syncd("up", "--port", other, "--data-dir", data_dir)
    assert (code, stdout) == (0, first.replace(str(port), str(other)))
    assert f"port {port} becomes {other}" in stderr


def test_a_taken_port_is_one_line_and_exit_code_78(syncd: Syncd, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, stdout, stderr = syncd("up", "--port", port, "--data-dir", data_dir)
    assert (code, stdout) == (78, "")
    assert stderr == f"error: port: a free port; another program has this one (found {port})\n"


def test_before_the_first_up_status_says_so_and_makes_nothing(syncd: Syncd, tmp_path: Path) -> None:
    code, stdout, _ = syncd("status", "--data-dir", tmp_path)
    assert code == 0
    assert "not running" in stdout
    assert list(tmp_path.iterdir()) == []


def test_the_data_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_DATA_DIR", "/chosen")
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_data_dir() == Path("/chosen")
    monkeypatch.delenv("SYNCD_DATA_DIR")
    assert default_data_dir() == Path("/xdg/syncd")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_data_dir() == Path("/home/someone/.local/share/syncd")
