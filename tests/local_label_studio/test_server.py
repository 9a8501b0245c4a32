"""A real local Label Studio: started, proven, told apart, stopped."""

import json
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from syncd.annotators.label_studio.local import LocalLabelStudio, access
from syncd.annotators.label_studio.local.settings import Choices, read_choices, write_choices
from syncd.domain.errors import ConfigError, Retryable
from tests.label_studio import LabelStudioServer, free_port


@pytest.fixture
def local(label_studio_home: Callable[[Path], Path], tmp_path: Path) -> Iterator[LocalLabelStudio]:
    """Installed and migrated, not running."""
    local = LocalLabelStudio(label_studio_home(tmp_path / "home"))
    yield local
    local.down()


def test_up_status_down_is_a_whole_life(local: LocalLabelStudio) -> None:
    port = free_port()
    running = local.up(port)
    there = local.status()
    assert running.url == there.url == f"http://127.0.0.1:{port}"
    assert (there.running, there.healthy, there.pid) == (True, True, running.pid)
    assert there.installed == local.version
    assert there.username == running.username

    assert local.down() is True
    gone = local.status()
    assert (gone.running, gone.healthy, gone.url, gone.pid) == (False, False, None, None)
    assert not access.is_healthy(running.url)
    assert local.down() is False


def test_a_second_up_finds_the_server_of_the_first(local: LocalLabelStudio) -> None:
    port = free_port()
    first = local.up(port)
    steps: list[str] = []
    second = LocalLabelStudio(local.home).up(port, on_progress=steps.append)
    assert second == first
    assert steps == ["Label Studio is already up"]


def test_another_files_root_restarts_and_keeps_token_and_data(local: LocalLabelStudio, tmp_path: Path) -> None:
    port = free_port()
    first = local.up(port)
    pat = first.token_file.read_text()
    second = local.up(port, tmp_path)
    assert second.pid != first.pid
    assert second.files_root == tmp_path
    assert second.token_file.read_text() == pat


def test_what_is_not_chosen_anew_stays_as_it_was(local: LocalLabelStudio, tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    first = local.up(port, tmp_path)
    steps: list[str] = []
    assert local.up(on_progress=steps.append) == first
    assert steps == ["Label Studio is already up"]

    moved = local.up(other, on_progress=steps.append)
    assert (moved.url, moved.files_root) == (f"http://127.0.0.1:{other}", tmp_path)
    assert steps[1] == f"restarting Label Studio: port {port} becomes {other}"

    local.down()
    again = local.up()
    assert (again.url, again.files_root) == (moved.url, tmp_path)


def test_a_taken_port_leaves_the_running_server_alone(local: LocalLabelStudio) -> None:
    running = local.up(free_port())
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigError, match="port: a free port"):
        local.up(other.getsockname()[1])
    assert local.up() == running


def test_a_folder_that_is_gone_is_named_and_leaves_the_running_server_alone(
    local: LocalLabelStudio, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    running = local.up(free_port(), files)
    files.rmdir()
    with pytest.raises(ConfigError, match=f"files: a folder that exists.*{files}"):
        local.up()
    assert local.status().pid == running.pid


def test_before_the_first_choice_there_are_defaults(tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    assert read_choices(path) == Choices(8080, None)
    for chosen in (Choices(9000, tmp_path), Choices(9000)):
        write_choices(path, chosen)
        assert read_choices(path) == chosen
    assert Choices().changes(Choices(9000, tmp_path)) == f"port 8080 becomes 9000, files none becomes {tmp_path}"
    assert Choices().changes(Choices()) == ""


def test_a_lost_or_broken_token_is_replaced_by_one_that_works(local: LocalLabelStudio) -> None:
    running = local.up(free_port())
    pat = running.token_file.read_text()
    for damage in (running.token_file.unlink, lambda: running.token_file.write_text("no token")):
        damage()
        local.up(int(running.url.rpartition(":")[2]))
        renewed = running.token_file.read_text()
        assert renewed != pat
        assert access.who_is(running.url, renewed) == running.username
    assert access.who_is(running.url, pat) is None  # the lost one is revoked


def test_a_taken_port_is_named_and_nothing_is_started(local: LocalLabelStudio) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port: a free port.*{port}"):
            local.up(port)
    assert not local.status().running


def test_a_missing_files_root_is_named(local: LocalLabelStudio, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="files: a folder that exists"):
        local.up(free_port(), tmp_path / "nowhere")


def test_a_server_that_ends_at_once_is_reported_with_its_log(local: LocalLabelStudio) -> None:
    broken = {"LABEL_STUDIO_COLLECT_ANALYTICS": "neither"}
    with pytest.raises(Retryable, match=r'(?s)ended while it started.*Incorrect bool value "neither"'):
        local.up(free_port(), extra_env=broken)
    assert not local.status().running


def test_a_server_that_does_not_answer_in_time_is_stopped(local: LocalLabelStudio) -> None:
    port = free_port()
    with pytest.raises(Retryable, match="did not answer within 0 s"):
        local.up(port, timeout_s=0.01)
    assert not local.status().running


def test_the_variables_of_the_shell_do_not_leak_in(local: LocalLabelStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DEBUG": "nonsense", "HOST": "nonsense", "PORT": "1", "PASSWORD": "x"}.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    assert local.up(port).url.endswith(f":{port}")


def test_secrets_are_for_the_owner_only_and_in_no_repr(local: LocalLabelStudio) -> None:
    running = local.up(free_port())
    private = ("credentials.json", "token", "server.json", "server.log")
    modes = {name: stat.S_IMODE((local.home / name).stat().st_mode) for name in private}
    assert modes == dict.fromkeys(private, 0o600)
    assert stat.S_IMODE((local.home / "data").stat().st_mode) == 0o700
    stored = json.loads((local.home / "credentials.json").read_text())
    for secret in (stored["password"], stored["legacy_token"], stored["secret_key"]):
        assert secret not in repr(running)


def test_both_kinds_of_token_work(label_studio: LabelStudioServer) -> None:
    assert access.who_is(label_studio.url, label_studio.pat) == label_studio.username
    assert _get(label_studio, "/api/current-user/whoami").json()["email"] == label_studio.username


def test_a_file_below_the_files_root_is_served_once_a_storage_covers_it(label_studio: LabelStudioServer) -> None:
    folder = label_studio.files_root / "served"
    folder.mkdir()
    (folder / "a b#1.txt").write_text("hello")
    address = "/data/local-files/?d=served/a%20b%231.txt"
    assert _get(label_studio, address).status_code == 404

    project = _post(label_studio, "/api/projects/", {"title": "Local files"}).json()["id"]
    storage = {"project": project, "path": str(folder), "use_blob_urls": True}
    assert _post(label_studio, "/api/storages/localfiles/", storage).status_code == 201
    assert _get(label_studio, address).text == "hello"


def test_webhooks_to_loopback_are_allowed_unless_protection_is_switched_on(
    label_studio: LabelStudioServer, own_label_studio: Callable[..., LabelStudioServer]
) -> None:
    protected = own_label_studio(extra_env={"LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "true"})
    answers = []
    for server in (label_studio, protected):
        project = _post(server, "/api/projects/", {"title": "Webhooks"}).json()["id"]
        webhook = {"url": "http://127.0.0.1:9/hook", "project": project, "is_active": False}
        answers.append(_post(server, "/api/webhooks/", webhook).status_code)
    assert answers == [201, 403]


def test_a_killed_server_starts_again_with_its_data(
    own_label_studio: Callable[..., LabelStudioServer],
) -> None:
    server = own_label_studio()
    project = _post(server, "/api/projects/", {"title": "Survivor"}).json()["id"]
    server.kill()
    with pytest.raises(httpx.ConnectError):
        _get(server, "/health")
    server.start()
    assert _get(server, f"/api/projects/{project}").json()["title"] == "Survivor"


def _get(server: LabelStudioServer, path: str) -> httpx.Response:
    return httpx.get(server.url + path, headers={"Authorization": f"Token {server.token}"}, timeout=30)


def _post(server: LabelStudioServer, path: str, body: object) -> httpx.Response:
    headers = {"Authorization": f"Token {server.token}"}
    return httpx.post(server.url + path, json=body, headers=headers, timeout=30)
