"""From bucket to tasks over every way of hearing of it, with events doubled, shuffled and lost: see `loop`."""

import pytest

from tests.acceptance.loop import run_folder_loop, run_loop
from tests.acceptance.site import Site
from tests.acceptance.transports.azure import azure_container
from tests.acceptance.transports.google import GoogleBucket
from tests.acceptance.transports.relay import Relay
from tests.acceptance.transports.s3 import ceph_bucket, queued, seaweed_bucket
from tests.aws_emulators import Emulator
from tests.azurite import Azurite
from tests.ceph import Ceph
from tests.known_secrets import known
from tests.pubsub_double import PubSubDouble
from tests.seaweed_webhook import TOKEN, WeedWebhook


async def test_an_s3_bucket_with_a_queue(site: Site, aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """On two emulators, which differ in sequencers and in the encoding of keys."""
    monkeypatch.setenv("LOOP_KEY", "test")
    async with queued(aws.endpoint) as transport:
        await run_loop(site, transport)


async def test_an_s3_bucket_whose_server_calls(
    site: Site, weed_webhook: WeedWebhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS tells of each thing once, in no order, and never again."""
    monkeypatch.setenv("LOOP_TOKEN", TOKEN)
    async with Relay().listening(weed_webhook.port) as relay:
        await run_loop(site, await seaweed_bucket(weed_webhook, relay))


async def test_an_azure_container_with_a_storage_queue(
    site: Site, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOP_KEY", azurite.key)
    async with azure_container(azurite) as transport:
        await run_loop(site, transport)


@pytest.mark.parametrize("push", [False, True], ids=["pull", "push"])
async def test_a_google_bucket_with_pubsub(site: Site, push: bool) -> None:
    """On doubles of both."""
    async with PubSubDouble().serving() as pubsub, GoogleBucket(pubsub, push=push).serving() as transport:
        await run_loop(site, transport)


@pytest.mark.system
async def test_a_ceph_bucket_whose_topic_calls(site: Site, ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP_TOKEN", known("topic-secret"))
    async with Relay().listening() as relay:
        await run_loop(site, await ceph_bucket(ceph, relay, known("topic-secret")))


async def test_a_folder(site: Site) -> None:
    """A folder's events cannot be held up: one in five happens while nobody looks."""
    await run_folder_loop(site)
