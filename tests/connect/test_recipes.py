"""What is printed where syncd does not set a bucket up itself: it parses, quotes what is hostile, and says no secret.

Commands are run by a real shell against programs that only write down what they were given; Terraform is parsed.
Neither gcloud, az, mc nor Terraform itself is run here.
"""

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest

from syncd.service.connect import Recipe, Target, policy, target_of
from syncd.service.connect.recipes import connection, disconnection
from tests.connect.conftest import Configured, Inline
from tests.known_secrets import known

TOKENS = Inline('[{ env = "SYNCD_TEST_TOKEN" }]')
SECRET = known("s3cr3t-T0ken")
ACCOUNT = "push@fruit-1.iam.gserviceaccount.com"
HOSTILE = 'it\'s $(touch pwned) `id` "${HOME}" %{if} ${var.x}\\ ;&|'
HOSTILE_BUCKET = HOSTILE.replace(" ", "")  # a space in a bucket's name is refused before
SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "minio": ("s3", {"tokens": TOKENS}),
    "seaweedfs": ("s3", {"tokens": TOKENS}),
    "eventbridge": ("s3", {"tokens": TOKENS}),
    "http": ("s3", {"tokens": TOKENS}),
    "cloudevents": ("s3", {"tokens": TOKENS}),
    "pubsub": ("gs", {"subscription": "projects/fruit-1/subscriptions/photos"}),
    "pubsub-push": ("gs", {"audience": "syncd", "service_account": ACCOUNT}),
    "eventarc": ("gs", {"audience": "syncd", "service_account": ACCOUNT}),
    "storage-queue": ("az", {"queue": "photos", "account_url": "https://fruit1.queue.core.windows.net"}),
    "event-grid": ("az", {"tokens": TOKENS, "account": "fruit1"}),
}
VARIABLES = {
    "MINIO": "site", "SYNCD_TOKEN": SECRET, "SYNCD_ACCOUNT": "syncd@fruit-1", "LOCATION": "europe-north1",
    "NETWORK_ATTACHMENT": "na", "RESOURCE_GROUP": "group", "SYNCD_IDENTITY": "id", "ACCOUNT": "fruit1",
}  # fmt: skip


@pytest.fixture(params=SOURCES)
def target(request: pytest.FixtureRequest, configured: Configured, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A bucket of each kind of source."""
    monkeypatch.setenv("SYNCD_TEST_TOKEN", SECRET)
    return made(configured, request.param)


def made(configured: Configured, type_: str, bucket: str = "photos-of-fruit", **more: Any) -> Target:
    scheme, options = SOURCES[type_]
    return target_of(configured(type_, f"{scheme}://{bucket}", **{**options, **more}), "photos")


def texts(recipe: Recipe, language: str) -> Iterator[str]:
    return (text.text for text in recipe.texts if text.language == language)


def ran(script: str, folder: Path) -> list[list[str]]:
    """Run a script with programs that write down their arguments; the calls, program first."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("gcloud", "az", "mc", "terraform", "curl"):
        lines = f'#!/bin/sh\n{{ printf "%s\\0" {name} "$@"; printf "\\n\\0"; }} >>"{folder}/calls"\necho told\n'
        (programs / name).write_text(lines)
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), **VARIABLES}
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "pwned").exists()
    calls = (folder / "calls").read_text() if (folder / "calls").exists() else ""
    return [call.split("\0")[:-1] for call in calls.split("\n\0") if call]


def test_every_text_can_be_read_by_what_it_is_for(target: Target, tmp_path: Path) -> None:
    for recipe in (connection(target, "in/", ".jpg"), disconnection(target)):
        for script in texts(recipe, "sh"):
            assert all(call[0] in {"gcloud", "az", "mc", "terraform", "curl"} for call in ran(script, tmp_path))
        for text in texts(recipe, "hcl"):
            assert "resource" in hcl2.loads(text + "\n")
        for text in texts(recipe, "toml"):
            assert "notification" in tomllib.loads(text)


def test_no_text_holds_a_secret(target: Target) -> None:
    for recipe in (connection(target), disconnection(target), policy(target)):
        assert SECRET not in "\n".join([*(text.text for text in recipe.texts), *recipe.notes])


def test_a_hostile_prefix_stays_a_value(target: Target, tmp_path: Path) -> None:
    recipe = connection(target, HOSTILE)
    words = [word for script in texts(recipe, "sh") for call in ran(script, tmp_path) for word in call]
    if target.plugin.type in {"minio", "pubsub", "pubsub-push", "storage-queue", "event-grid"}:
        assert any(word.endswith(HOSTILE) for word in words)
    for text in texts(recipe, "toml"):
        assert tomllib.loads(text)["notification"]["webhook"]["path_prefixes"][0].endswith(HOSTILE)
    for text in texts(recipe, "hcl"):
        hcl2.loads(text + "\n")
        assert "$${var.x}" in text
        assert "%%{if}" in text


@pytest.mark.parametrize("type_", SOURCES)
def test_a_hostile_bucket_stays_a_value(type_: str, configured: Configured, tmp_path: Path) -> None:
    recipe = connection(made(configured, type_, HOSTILE_BUCKET))
    words = [word for script in texts(recipe, "sh") for call in ran(script, tmp_path) for word in call]
    if type_ not in {"eventbridge", "http", "cloudevents", "seaweedfs"}:  # in which no command names the bucket
        assert any(HOSTILE_BUCKET in word for word in words)
    for text in texts(recipe, "hcl"):
        hcl2.loads(text + "\n")
    for text in texts(recipe, "toml"):
        assert tomllib.loads(text)["notification"]["webhook"]["path_prefixes"] == [f"/buckets/{HOSTILE_BUCKET}/"]


def test_google_lets_only_the_service_agent_publish_and_names_who_pushes(
    configured: Configured, tmp_path: Path
) -> None:
    recipe = connection(made(configured, "pubsub-push"))
    calls = ran(next(texts(recipe, "sh")), tmp_path)
    granted = next(call for call in calls if call[1:4] == ["pubsub", "topics", "add-iam-policy-binding"])
    assert "--member=serviceAccount:told" in granted  # what `gcloud storage service-agent` answered
    assert "--role=roles/pubsub.publisher" in granted
    pushed = next(call for call in calls if call[1:4] == ["pubsub", "subscriptions", "create"])
    assert "--push-endpoint=https://syncd.example.com/events/camera" in pushed
    assert f"--push-auth-service-account={ACCOUNT}" in pushed
    assert "--push-auth-token-audience=syncd" in pushed
    blocks = hcl2.loads(next(texts(recipe, "hcl")) + "\n")
    assert "oidc_token" in json.dumps(blocks)


def test_azure_sends_only_events_of_this_container(configured: Configured, tmp_path: Path) -> None:
    calls = ran(next(texts(connection(made(configured, "storage-queue")), "sh")), tmp_path)
    created = next(call for call in calls if call[2:5] == ["system-topic", "event-subscription", "create"])
    assert "/blobServices/default/containers/photos-of-fruit/blobs/" in created
    assert "told/queueservices/default/queues/photos" in created


@pytest.mark.parametrize(("token_in", "shown"), [("query:key", f"?key={SECRET}"), ("header:X-Token", "X-Token")])
def test_event_grid_shows_the_token_where_the_source_looks(
    configured: Configured, tmp_path: Path, token_in: str, shown: str
) -> None:
    recipe = connection(made(configured, "event-grid", token_in=token_in))
    calls = ran(next(texts(recipe, "sh")), tmp_path)
    assert any(word.endswith(shown) for word in calls[-1])
    assert SECRET in "".join(calls[-1])
    assert "var.syncd_token" in next(texts(recipe, "hcl"))


def test_minio_is_told_to_keep_events_on_disk(configured: Configured, tmp_path: Path) -> None:
    recipe = connection(made(configured, "minio"), "in/")
    calls = ran(next(texts(recipe, "sh")), tmp_path)
    assert f"auth_token={SECRET}" in calls[0]
    assert any(word.startswith("queue_dir=/") for word in calls[0])
    assert calls[2][:4] == ["mc", "event", "add", "site/photos-of-fruit"]
    assert calls[2][-2:] == ["--prefix", "in/"]
    assert any("without it MinIO sends an event once" in note for note in recipe.notes)


def test_the_iam_policy_is_the_least_that_is_needed(configured: Configured) -> None:
    queue = "https://sqs.eu-north-1.amazonaws.com/123456789012/photos"
    found = policy(target_of(configured("sqs", queue=queue), "photos"))
    statements = {one["Sid"]: one for one in json.loads(found.texts[0].text)["Statement"]}
    assert statements["ReadTheQueue"]["Resource"] == "arn:aws:sqs:eu-north-1:123456789012:photos"
    assert "sqs:SendMessage" not in statements["ReadTheQueue"]["Action"]
    assert statements["ReadItsObjects"]["Resource"] == "arn:aws:s3:::photos-of-fruit/*"
    writes = [one for one in statements.values() if "s3:PutObject" in one["Action"]]
    assert [one["Resource"] for one in writes] == ["arn:aws:s3:::photos-of-fruit/*.syncd-probe-*"]
    assert not any("*" in action for one in statements.values() for action in one["Action"])
