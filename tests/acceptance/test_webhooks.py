"""Webhooks against the running daemon: fast, guarded, registered once."""

import concurrent.futures
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from tests.acceptance.site import Site, choice, until
from tests.label_studio import LabelStudioServer

PATH = "/webhooks/label-studio/photos"
LABEL_STUDIO_LIMIT_S = 1.0


def _post(site: Site, body: bytes, headers: dict[str, str]) -> tuple[int, float]:
    """Status and seconds."""
    started = time.monotonic()
    request = urllib.request.Request(f"http://127.0.0.1:{site.port}{PATH}", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, time.monotonic() - started
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code, time.monotonic() - started


def _registered(site: Site) -> dict[str, object]:
    project = site.person.project(site.title)
    assert project
    webhooks = site.person.fetch(f"/api/webhooks/?project={project['id']}").json()
    assert len(webhooks) == 1, "one webhook, not doubled"
    return dict(webhooks[0])


def test_50_webhooks_at_once_are_answered_well_under_label_studios_second(site: Site) -> None:
    site.start()
    until("webhook", lambda: "webhook.registered" in site.log())
    headers = {"Content-Type": "application/json", **_registered(site)["headers"]}  # type: ignore[dict-item]
    bodies = [
        json.dumps({"action": "ANNOTATION_CREATED", "annotation": {"id": n, "task": n}, "task": {"id": n}}).encode()
        for n in range(1_000_001, 1_000_051)
    ]
    with concurrent.futures.ThreadPoolExecutor(50) as senders:
        answers = list(senders.map(lambda body: _post(site, body, headers), bodies))
    assert {status for status, _ in answers} == {204}
    assert max(seconds for _, seconds in answers) < LABEL_STUDIO_LIMIT_S


def test_only_the_secret_header_opens_and_bad_bodies_are_refused(site: Site) -> None:
    site.start()
    until("webhook", lambda: "webhook.registered" in site.log())
    good = {"Content-Type": "application/json", **_registered(site)["headers"]}  # type: ignore[dict-item]
    assert _post(site, b"{}", {"Content-Type": "application/json"})[0] == 401
    assert _post(site, b"{}", good | {"X-Syncd-Secret": "wrong"})[0] == 401
    assert _post(site, b"{", good)[0] == 400
    assert _post(site, b"{}", good | {"Content-Type": "text/plain"})[0] == 415
    assert _post(site, b"x" * (17 * 1024 * 1024), good)[0] == 413
    assert _post(site, b'{"action": "TASKS_CREATED", "tasks": [{"id": 1}]}', good)[0] == 204
    assert site.get("/webhooks/label-studio/nowhere") == 405
    assert site.get("/livez") == site.get("/readyz") == 200
    assert site.get("/metrics") == 404, "those who watch have a listener of their own"


def test_the_webhook_is_found_again_on_restart_and_only_for_annotations(site: Site) -> None:
    for _ in range(2):
        daemon = site.start()
        until("webhook", lambda: site.log().count("webhook.registered"))
        site.stop(daemon)
    webhook = _registered(site)
    assert set(webhook["actions"]) == {  # type: ignore[call-overload]
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_CREATED",
        "ANNOTATIONS_DELETED",
    }
    assert not webhook["send_for_all_actions"]


def test_without_a_webhook_changes_are_read_instead_and_an_earlier_webhook_of_ours_is_removed(
    make_site: Callable[..., Site], label_studio: LabelStudioServer
) -> None:
    site = make_site(label_studio)
    daemon = site.start()
    until("webhook", lambda: "webhook.registered" in site.log())
    site.stop(daemon)
    site.configure(webhook=False)
    site.config.write_text(site.config.read_text().replace("[reconcile]", "[reconcile]\npoll_every = 1"))
    site.start()
    project = site.person.project(site.title)
    assert project
    webhooks = f"/api/webhooks/?project={project['id']}"
    until("no webhook", lambda: site.person.fetch(webhooks).json() == [])
    site.drop(["a.jpg"])
    (task,) = site.settled_tasks(1)
    site.person.submit(task["id"], choice("cat"))
    until("the row", lambda: len(site.rows()) == 1, timeout=20)


def test_where_label_studio_refuses_our_address_changes_are_read_instead(
    make_site: Callable[..., Site], own_label_studio: Callable[..., LabelStudioServer]
) -> None:
    studio = own_label_studio(extra_env={"LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "true"})
    site = make_site(studio, extra="", labels=["cat"])
    site.config.write_text(site.config.read_text().replace("[reconcile]", "[reconcile]\npoll_every = 1"))
    site.start()
    until("plain words", lambda: "webhook.refused" in site.log())
    site.drop(["a.jpg"])
    (task,) = until("1 task", site.tasks)
    site.person.submit(task["id"], choice("cat"))
    until("the row", lambda: len(site.rows()) == 1, timeout=20)
    annotation = site.rows()[0]["annotation_id"]
    site.person.withdraw(int(annotation))
    until("the row is gone from the next version", lambda: not site.rows(), timeout=20)
