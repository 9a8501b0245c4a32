"""The source `storage-queue`, over Azurite's queues: the envelopes that Event Grid would put there."""

import asyncio
import base64
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from azure.storage.queue import QueueSasPermissions, generate_queue_sas
from azure.storage.queue.aio import QueueClient
from pydantic import ValidationError

from syncd.domain.errors import ConfigError, Retryable
from syncd.domain.model import ObjectRef
from syncd.domain.notifications import BadEvent
from syncd.ports import Seen
from syncd.sources.storage_queue import StorageQueueOptions, StorageQueueSource
from tests.azurite import Azurite
from tests.event_grid import blob_event, cloud_event
from tests.sources.hurried import HurriedClock
from tests.sources.taking import Taker, buckets, running
from tests.sources.waiting import until

SPEED = 5.0
SECRET = "TEST_AZURE_KEY"


@dataclass
class Queue:
    """A new queue, and the way in."""

    client: QueueClient
    name: str
    account_url: str

    async def put(self, *events: dict[str, Any], plain: bool = False) -> None:
        """One message for each event, as Event Grid writes them."""
        for event in events:
            text = orjson.dumps(event)
            await self.client.send_message(text.decode() if plain else base64.b64encode(text).decode())

    async def count(self) -> int:
        """Messages there, hidden ones too."""
        return (await self.client.get_queue_properties()).approximate_message_count or 0

    async def until_empty(self) -> None:
        async with asyncio.timeout(20):
            while await self.count():
                await asyncio.sleep(0.02)

    def source(self, **options: Any) -> StorageQueueSource:
        settings = {
            "queue": self.name,
            "buckets": ["photos"],
            "account_url": self.account_url,
            "credentials": {"env": SECRET},
            "poll_every": 0.1,
            "visibility": 5,
            **options,
        }
        checked = StorageQueueOptions.model_validate(settings)
        return StorageQueueSource("photos", checked, stores=buckets(photos="az://photos"), clock=HurriedClock(SPEED))


@pytest.fixture
async def queue(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Queue]:
    monkeypatch.setenv(SECRET, azurite.key)
    name = f"q{uuid.uuid4().hex}"
    async with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        await client.create_queue()
        yield Queue(client, name, azurite.queue_endpoint)


async def test_both_schemas_and_both_encodings_are_read_and_then_deleted(queue: Queue) -> None:
    taker = Taker()
    keys = ["a.jpg", "deep/ä b+c%20.jpg", "//x/../y", "plain.jpg"]
    await queue.put(blob_event(keys[0]), cloud_event(keys[1]), blob_event(keys[2]))
    await queue.put(cloud_event(keys[3]), plain=True)
    await queue.put(blob_event("gone.jpg", kind="BlobDeleted"))
    async with running(queue.source(), taker):
        await queue.until_empty()
    latest = taker.latest()
    assert taker.rescans == 1
    assert {ref.key for ref, seen in latest.items() if not seen.gone} == set(keys)
    assert latest[ObjectRef("az://photos", "gone.jpg")].gone
    assert latest[ObjectRef("az://photos", "a.jpg")].size == 3
    assert latest[ObjectRef("az://photos", "a.jpg")].etag


async def test_nothing_is_deleted_before_it_was_taken(queue: Queue) -> None:
    taker = Taker()
    taker.refusals = 10_000
    await queue.put(blob_event("a.jpg"))
    async with running(queue.source(), taker):
        await until("it was refused", lambda: taker.calls >= 3)
        assert await queue.count() == 1
        taker.refusals = 0
        await queue.until_empty()
    assert taker.keys == ["a.jpg"]


async def test_a_message_stays_hidden_while_its_delivery_is_slow(queue: Queue) -> None:
    taker = Taker()
    taker.slow = 6.5  # Azurite's own clock is not hurried: it would hand the message out again after 5 s
    await queue.put(blob_event("a.jpg"))
    async with running(queue.source(visibility=5), taker):
        await queue.until_empty()
    assert taker.keys == ["a.jpg"]
    assert taker.calls == 1


async def test_what_is_under_way_is_given_back_when_the_source_stops(queue: Queue) -> None:
    taker = Taker()
    taker.slow = 60.0
    await queue.put(blob_event("a.jpg"))
    async with running(queue.source(visibility=3600), taker):
        await until("it is under way", lambda: taker.calls)
    other = Taker()
    async with running(queue.source(), other):
        await until("another host has it", lambda: other.keys == ["a.jpg"])


async def test_messages_that_can_never_be_read_are_kept_for_a_person_and_hold_nobody_up(queue: Queue) -> None:
    taker = Taker()
    for text in ("no base64!", base64.b64encode(b"no json").decode(), "{", base64.b64encode(b"\xff\xfe").decode()):
        await queue.client.send_message(text)
    await queue.put(blob_event("nul%00.jpg", encoded=True), blob_event("good.jpg"))
    async with running(queue.source(), taker):
        await queue.until_empty()
    assert taker.keys == ["good.jpg"]
    assert sorted(bad.reason for bad in taker.bad) == ["invalid_key", *["malformed"] * 4]
    assert {b"no base64!", b"no json"} <= {bad.excerpt for bad in taker.bad}


async def test_a_message_that_kills_whoever_reads_it_ends_with_a_person(queue: Queue) -> None:
    taker = Taker()
    await queue.put(blob_event("killer.jpg"))
    for _ in range(3):  # each time somebody took it and died
        async for _message in queue.client.receive_messages(visibility_timeout=1):
            pass
        await asyncio.sleep(1.05)
    await queue.put(blob_event("good.jpg"))
    async with running(queue.source(most_tries=3), taker):
        await queue.until_empty()
    assert taker.keys == ["good.jpg"]
    assert [bad.reason for bad in taker.bad] == ["abandoned"]
    assert b"killer.jpg" in taker.bad[0].excerpt


async def test_events_of_other_containers_and_accounts_go_no_further(queue: Queue) -> None:
    taker = Taker()
    other = blob_event("a.jpg", container="others")
    stranger = cloud_event("b.jpg", account="stranger")
    await queue.put(other, stranger, blob_event("c.jpg"))
    async with running(queue.source(account="pictures"), taker):
        await queue.until_empty()
    assert taker.keys == ["c.jpg"]


async def test_a_directory_that_was_renamed_asks_for_a_look_at_everything(queue: Queue) -> None:
    taker = Taker()
    await queue.put(blob_event("folder", kind="DirectoryRenamed"))
    async with running(queue.source(), taker):
        await until("it asks", lambda: taker.rescans == 2)


async def test_a_file_of_a_hierarchical_namespace_counts_once_it_is_complete(queue: Queue) -> None:
    taker = Taker()
    await queue.put(blob_event("a.bin", api="CreateFile"), blob_event("a.bin", api="FlushWithClose"))
    async with running(queue.source(), taker):
        await queue.until_empty()
    assert taker.keys == ["a.bin"]


async def test_many_messages_are_under_way_at_once(queue: Queue) -> None:
    taker = Taker()
    taker.slow = 0.1
    await queue.put(*(blob_event(f"{n}.jpg") for n in range(100)))
    async with running(queue.source(visibility=60), taker):
        await queue.until_empty()
    assert sorted(taker.keys) == sorted(f"{n}.jpg" for n in range(100))  # none twice
    assert taker.calls == 4  # 32 at a time


async def test_a_bug_is_not_hidden(queue: Queue) -> None:
    await queue.put(blob_event("a.jpg"))

    async def deliver(seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(queue.source().run(deliver, lambda: None), 20)


# ---------------------------------------------------------------- who we are there


async def test_a_queue_that_is_there_passes_the_check(queue: Queue) -> None:
    await queue.source().check()


async def test_a_queue_that_is_not_there_is_told_at_the_start(queue: Queue) -> None:
    with pytest.raises(ConfigError) as caught:
        await queue.source(queue="nobody-made-it").check()
    (problem,) = caught.value.problems
    assert problem.field == "sources.photos.queue"
    assert "nobody-made-it: there is none" in problem.found


@pytest.mark.parametrize("secret", [base64.b64encode(b"another key").decode(), "no-base64", "sv=2026&sig=wrong", "ö"])
async def test_a_wrong_key_is_told_at_the_start_without_quoting_it(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv(SECRET, secret)
    with pytest.raises(ConfigError) as caught:
        await queue.source().check()
    assert caught.value.problems[0].field.startswith("sources.photos.")
    assert secret not in str(caught.value)


async def test_a_sas_token_opens_the_queue(queue: Queue, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    taker = Taker()
    may = QueueSasPermissions(read=True, process=True, update=True)
    soon = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_queue_sas(azurite.account, queue.name, azurite.key, permission=may, expiry=soon)
    monkeypatch.setenv(SECRET, sas)
    await queue.put(blob_event("a.jpg"))
    async with running(queue.source(), taker):
        await queue.until_empty()
    assert taker.keys == ["a.jpg"]


async def test_a_replaced_key_needs_no_restart(queue: Queue, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    taker = Taker()
    wrong = base64.b64encode(b"the old key").decode()
    monkeypatch.setenv(SECRET, wrong)
    await queue.put(blob_event("a.jpg"))
    async with running(queue.source(), taker):
        await asyncio.sleep(0.2)
        assert not taker.calls
        monkeypatch.setenv(SECRET, azurite.key)
        await queue.until_empty()
    assert taker.keys == ["a.jpg"]


async def test_azure_out_of_reach_is_no_mistake_of_the_configuration(queue: Queue) -> None:
    with pytest.raises(Retryable):
        await queue.source(account_url="http://127.0.0.1:9/devstoreaccount1").check()


@pytest.mark.parametrize(
    "options",
    [
        {"account_url": "pictures"},
        {"account_url": "http://pictures.queue.core.windows.net"},
        {"queue": "Upper"},
        {"visibility": 0},
        {"buckets": []},
        {"account": "Pictures!"},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    usual = {"queue": "photos", "buckets": ["photos"], "account_url": "https://pictures.queue.core.windows.net"}
    assert StorageQueueOptions.model_validate(usual)
    with pytest.raises(ValidationError):
        StorageQueueOptions.model_validate({**usual, **options})


@pytest.mark.parametrize("package", ["azure.storage.queue.aio", "azure.identity.aio"])
async def test_missing_packages_are_named_with_the_extra_that_brings_them(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install 'syncd\[azure\]'"):
        await Queue(None, "photos", "https://x.queue.core.windows.net").source().check()  # type: ignore[arg-type]
