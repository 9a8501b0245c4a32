"""What goes wrong in a user's hands: one clear line each, an exit code, and no traceback."""

import socket
import subprocess
from collections.abc import Callable

import pytest

from tests.acceptance.site import Site, choice, until
from tests.label_studio import LabelStudioServer, free_port


def _run(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = site.cli(*(arguments or ("run",)))
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def _edit(site: Site, old: str, new: str) -> None:
    text = site.config.read_text()
    assert old in text
    site.config.write_text(text.replace(old, new))


def test_a_second_daemon_on_one_state_file_ends_at_once_and_names_the_first(site: Site) -> None:
    daemon = site.start()
    second = _run(site)
    assert second.returncode == 78
    assert str(daemon.pid) in second.stderr
    assert "in use" in second.stderr
    assert daemon.poll() is None


def test_a_wrong_token(site: Site) -> None:
    (site.home / "token").write_text("0" * 40)
    done = _run(site)
    assert done.returncode == 78
    assert "annotators.studio.token" in done.stderr
    assert "0" * 40 not in done.stderr


def test_a_missing_token(site: Site) -> None:
    (site.home / "token").unlink()
    done = _run(site)
    assert done.returncode == 78
    assert "annotators.studio.token" in done.stderr


def test_a_wrong_url(site: Site) -> None:
    daemon = site.start()
    _edit(site, f'url = "{site.studio.url}"', f'url = "http://127.0.0.1:{site.port}"')
    _edit(site, f'data_dir = "{site.home}/data"', f'data_dir = "{site.home}/data2"')
    done = _run(site, "doctor")
    assert done.returncode == 1
    assert "annotators.studio.url" in done.stdout
    assert daemon.poll() is None


def test_an_unreachable_server_does_not_keep_the_daemon_from_keeping_events(site: Site) -> None:
    port = free_port()
    _edit(site, f'url = "{site.studio.url}"', f'url = "http://127.0.0.1:{port}"')
    site.start()
    site.drop(["a.jpg"])
    until("the event is kept", lambda: site.json("status")[0]["waiting"] == 1)
    assert "annotator.unreachable" in site.log()
    assert "Traceback" not in site.log()
    doctor = _run(site, "doctor")
    assert doctor.returncode == 1
    assert f"127.0.0.1:{port}" in doctor.stdout


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[reconcile]", "[reconcile]\nevry = 3", ["reconcile.evry", "every"]),
        (
            'task = "image-classification"',
            'task = "image-clasification"',
            ["datasets.photos.task", "image-classification"],
        ),
        ('labels = ["cat", "dog"]', "labels = []", ["datasets.photos", "labels"]),
        ('labels = ["cat", "dog"]', 'labels = ["cat", "cat"]', ["labels", "cat"]),
        ('annotator = "studio"', 'annotator = "studios"', ["datasets.photos.annotator", "studio"]),
        ('type = "folder"', 'type = "floppy"', ["sources.photos.type", "folder"]),
        ("port = ", "port = 99", ["receiver.port"]),
        ("[retry]", "[retry", ["line"]),
    ],
)
def test_a_mistake_in_the_configuration(site: Site, old: str, new: str, words: list[str]) -> None:
    _edit(site, old, new)
    done = _run(site)
    assert done.returncode == 78
    for word in words:
        assert word in done.stderr


def test_all_mistakes_at_once_each_on_its_line(site: Site) -> None:
    _edit(site, "[reconcile]", "[reconcile]\nevry = 3")
    _edit(site, 'annotator = "studio"', 'annotator = "studios"')
    done = _run(site)
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 2


def test_a_label_config_file_that_label_studio_cannot_use(site: Site) -> None:
    (site.home / "bad.xml").write_text("<View><Choices name='c' toName='nothing'><Choice value='a'/></Choices></View>")
    _edit(site, 'task = "image-classification"', 'label_config = "bad.xml"')
    _edit(site, 'labels = ["cat", "dog"]\n', "")
    done = _run(site)
    assert done.returncode == 78
    assert "datasets.photos.label_config" in done.stderr


def test_a_label_config_that_drifted_is_refused_warned_of_or_updated(
    make_site: Callable[..., Site], label_studio: LabelStudioServer
) -> None:
    site = make_site(label_studio, on_drift="warn")
    daemon = site.start()
    until("opened", lambda: "dataset.opened" in site.log())
    site.stop(daemon)
    _edit(site, 'labels = ["cat", "dog"]', 'labels = ["cat", "dog", "bird"]')
    daemon = site.start()
    until("warned", lambda: "dataset.drifted" in site.log())
    site.stop(daemon)
    _edit(site, 'on_drift = "warn"', 'on_drift = "update"')
    site.start()
    until("updated", lambda: "bird" in str((site.person.project(site.title) or {}).get("label_config")))


def test_a_label_studio_that_never_answers_holds_up_neither_the_start_nor_the_end(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _edit(site, f'url = "{site.studio.url}"', f'url = "http://127.0.0.1:{silent.getsockname()[1]}"')
        daemon = site.start()
        site.drop(["a.jpg"])
        assert site.stop(daemon) == 0
    assert "Traceback" not in site.log()


def test_a_data_folder_that_cannot_be_made(site: Site) -> None:
    (site.home / "file").touch()
    _edit(site, f'data_dir = "{site.home}/data"', f'data_dir = "{site.home}/file/data"')
    for command in ("run", "status", "doctor"):
        done = _run(site, command)
        assert done.returncode == 78
        assert "data_dir" in done.stderr


def test_a_folder_that_is_not_there(site: Site) -> None:
    site.folder.rmdir()
    done = _run(site)
    assert done.returncode == 78
    assert "sources.photos.path" in done.stderr
    assert site.person.project(site.title) is None


def test_a_port_that_is_taken(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        done = _run(site)
    assert done.returncode == 78
    assert "receiver.port" in done.stderr


def test_commands_that_only_look_make_nothing_in_label_studio(site: Site) -> None:
    for command in (
        ("dataset", "stats", "photos"),
        ("dataset", "diff", "photos"),
        ("reconcile", "--dry-run"),
        ("snapshot", "create", "photos"),
    ):
        done = _run(site, *command)
        assert done.returncode == 1
        assert "not in its annotator yet" in done.stderr
    assert site.person.project(site.title) is None


def test_an_address_that_does_not_lead_to_the_daemon_is_found_and_the_webhook_is_left_alone(site: Site) -> None:
    site.start()
    until("webhook", lambda: "webhook.registered" in site.log())
    wrong = {"SYNCD_RECEIVER__PUBLIC_URL": f"http://127.0.0.1:{free_port()}"}
    doctor = site.cli("doctor", env=wrong)
    assert doctor.returncode == 1
    assert "receiver.public_url" in doctor.stdout
    project = site.person.project(site.title)
    assert project
    (webhook,) = site.person.fetch(f"/api/webhooks/?project={project['id']}").json()
    assert f":{site.port}/" in webhook["url"]


def test_a_dataset_that_a_person_deleted_can_be_started_anew_and_its_rows_leave_the_next_version(site: Site) -> None:
    daemon = site.start()
    site.drop(["a.jpg"])
    (task,) = site.settled_tasks(1)
    site.person.submit(task["id"], choice("cat"))
    until("v1", lambda: len(site.rows()) == 1)
    site.stop(daemon)
    site.person.delete_project(site.title)
    refused = _run(site)
    assert refused.returncode == 78
    assert "syncd dataset delete photos" in refused.stderr
    assert _run(site, "dataset", "delete", "photos", "--yes").returncode == 0
    site.start()
    (task,) = site.settled_tasks(1)
    site.person.submit(task["id"], choice("dog"))
    until("the new row alone", lambda: [row["labels"] for row in site.rows()] == [["dog"]])
    assert [row["labels"] for row in site.rows("v1")] == [["cat"]]


def test_listings_for_machines_are_json_and_nothing_else(
    make_site: Callable[..., Site], label_studio: LabelStudioServer
) -> None:
    site = make_site(label_studio, snapshots="after_quiet = 600")
    site.start()
    site.drop(["a.jpg"])
    (task,) = site.settled_tasks(1)
    site.person.submit(task["id"], choice("cat"))
    (made,) = site.json("snapshot", "create", "photos") or [None]
    assert made["version"] == "v1"
    for command in (
        ("status",),
        ("doctor",),
        ("dataset", "list"),
        ("dataset", "stats", "photos"),
        ("dataset", "diff", "photos"),
        ("snapshot", "list", "photos"),
        ("snapshot", "show", "photos", "latest"),
        ("dead-letter", "list"),
        ("reconcile", "--dry-run"),
    ):
        assert site.json(*command) is not None
