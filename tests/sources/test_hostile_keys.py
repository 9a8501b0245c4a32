"""Forty hostile names through every source of Google and Azure: they arrive byte for byte, as senders write them."""

import base64
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from azure.storage.queue.aio import QueueClient

from syncd.runtime.clock import SystemClock
from syncd.sources.event_grid import EventGridSource
from syncd.sources.google_push import EventarcSource, PubSubPushSource
from syncd.sources.pubsub import PubSubSource
from syncd.sources.storage_queue import StorageQueueSource
from tests.azurite import Azurite
from tests.domain.notifications.hostile import HOSTILE_KEYS
from tests.event_grid import blob_event, cloud_event
from tests.pubsub_double import EMAIL, SUBSCRIPTION, PubSubDouble, gcs_attributes, gcs_data
from tests.sources.pushing import listening, stores
from tests.sources.taking import Taker, running
from tests.sources.waiting import until

PATH = "/events/photos"
JSON = {"Content-Type": "application/json"}


def made(kind: type[Any], bucket: str, **options: Any) -> Any:
    checked = kind.Options.model_validate({"buckets": ["photos"], **options})
    return kind("photos", checked, stores=stores(photos=bucket), clock=SystemClock())


@asynccontextmanager
async def google() -> AsyncIterator[PubSubDouble]:
    """The double, with one message for each name."""
    async with PubSubDouble().serving() as double:
        for key in HOSTILE_KEYS:
            double.publish(gcs_attributes(key), gcs_data(key))
        yield double


def push_options(double: PubSubDouble) -> dict[str, str]:
    return {"audience": "us", "service_account": EMAIL, "keys_url": f"{double.url}/keys"}


async def test_pulled_from_pubsub() -> None:
    taker = Taker()
    async with google() as double:
        source = made(PubSubSource, "gs://photos", subscription=SUBSCRIPTION, endpoint=double.url)
        async with running(source, taker):
            await until("all are acknowledged", lambda: not double.messages)
    assert sorted(taker.keys) == sorted(HOSTILE_KEYS)


async def test_pushed_by_pubsub() -> None:
    async with google() as double:
        source = made(PubSubPushSource, "gs://photos", **push_options(double))
        async with listening(source) as post:
            assert set(await double.push(post.url(PATH), "us")) == {204}
    assert post.keys() == list(HOSTILE_KEYS)


async def test_pushed_by_eventarc() -> None:
    event = {"ce-id": "1", "ce-specversion": "1.0", "ce-type": "google.cloud.storage.object.v1.finalized"}
    source_of = {"ce-source": "//storage.googleapis.com/projects/_/buckets/photos"}
    async with google() as double:
        headers = {**event, **source_of, **JSON, "authorization": f"Bearer {double.token('us')}"}
        source = made(EventarcSource, "gs://photos", **push_options(double))
        async with listening(source) as post:
            for key in HOSTILE_KEYS:
                assert (await post.ask("POST", PATH, gcs_data(key), headers)).status == 204
    assert post.keys() == list(HOSTILE_KEYS)


@pytest.mark.parametrize("event", [blob_event, cloud_event])
async def test_pushed_by_event_grid(event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", "token")
    source = made(EventGridSource, "az://photos", tokens=[{"env": "TEST_TOKEN"}])
    async with listening(source) as post:
        body = orjson.dumps([event(key) for key in HOSTILE_KEYS])
        assert (await post.ask("POST", f"{PATH}?code=token", body, JSON)).status == 204
    assert post.keys() == list(HOSTILE_KEYS)


async def test_queued_by_event_grid(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", azurite.key)
    taker, name = Taker(), f"q{uuid.uuid4().hex}"
    where = {"account_url": azurite.queue_endpoint, "credentials": {"env": "TEST_KEY"}}
    async with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        await client.create_queue()
        for key in HOSTILE_KEYS:
            await client.send_message(base64.b64encode(orjson.dumps(blob_event(key))).decode())
        async with running(made(StorageQueueSource, "az://photos", queue=name, **where), taker):
            await until("all came", lambda: len(taker.keys) >= len(HOSTILE_KEYS))
    assert sorted(taker.keys) == sorted(HOSTILE_KEYS)
