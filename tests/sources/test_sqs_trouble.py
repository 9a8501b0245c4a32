"""What happens when Amazon is slow, busy, gone, or does not let us in: a proxy on loopback says so."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from syncd.domain.errors import ConfigError, Retryable
from syncd.secrets import SecretRef
from syncd.sources import sqs_consumer
from tests.aws_emulators import Emulator
from tests.sources.aws_proxy import Proxy, allowing, failure, proxying, times
from tests.sources.sqs_world import Cloud, Taker, eventually, record, running, source
from tests.sources.waiting import until


@pytest.fixture
def aws(ministack: Emulator) -> Emulator:
    """One is enough: it is the proxy that makes the trouble."""
    return ministack


@pytest.fixture
async def proxy(cloud: Cloud) -> AsyncIterator[Proxy]:
    async with proxying(cloud.server.endpoint) as running_:
        yield running_


BUSY = {
    "throttled": lambda: failure(400, "ThrottlingException"),
    "too many in flight": lambda: failure(403, "OverLimit"),
    "busy": lambda: failure(503, "ServiceUnavailable", Retry_After="0"),
    "broken": lambda: failure(500, "InternalError"),
    "no JSON": lambda: web.Response(status=502, text="<html>Bad Gateway</html>"),
}


@pytest.mark.parametrize("trouble", BUSY)
async def test_what_passes_is_waited_for(cloud: Cloud, proxy: Proxy, trouble: str) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, *(record("photos", f"{n}.jpg") for n in range(12)))
    operations = ("GetQueueAttributes", "ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")
    proxy.faults = {operation: times(2, BUSY[trouble]) for operation in operations}
    taker = Taker()
    with capture_logs() as logs:
        async with running(source(queue, "photos", endpoint=proxy.url, pollers=1), taker):
            await until("all arrived", lambda: len(taker.keys()) == 12)
            await eventually("the queue is empty", lambda: cloud.is_empty(queue))
    assert {"queue.unreachable", "queue.receive_failed", "messages.deletion_failed"} <= {line["event"] for line in logs}
    assert len(taker.seen) == 12
    assert "secret words" not in str(logs)


async def test_it_starts_while_amazon_cannot_be_reached(cloud: Cloud, proxy: Proxy) -> None:
    queue = await cloud.queue()
    proxy.faults = {"*": times(3, lambda: failure(503, "ServiceUnavailable"))}
    read = source(queue, "photos", endpoint=proxy.url)
    with pytest.raises(Retryable, match="503"):
        await read.check()
    taker = Taker()
    async with running(read, taker):
        await until("it listens", lambda: taker.rescans == 1)


async def test_one_message_of_a_batch_that_could_not_be_deleted_is_deleted_alone(cloud: Cloud, proxy: Proxy) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, *(record("photos", f"{n}.jpg") for n in range(3)))
    partly = '{"Successful": [{"Id": "1"}], "Failed": [{"Id": "0", "SenderFault": false, "Code": "InternalError"}]}'
    operation, json = "DeleteMessageBatch", "application/x-amz-json-1.0"
    proxy.faults = {operation: times(1, lambda: web.Response(text=partly, content_type=json))}
    taker = Taker()
    async with running(source(queue, "photos", endpoint=proxy.url, pollers=1), taker):
        await until("it was deleted alone", lambda: proxy.seen.count(operation) >= 2)
    sent = [orjson.loads(b)["Entries"] for o, b in zip(proxy.seen, proxy.bodies, strict=True) if o == operation]
    assert [len(entries) for entries in sent[:2]] == [3, 1]
    assert sent[1][0]["ReceiptHandle"] == sent[0][0]["ReceiptHandle"]


REFUSALS = {
    "no such queue": ("QueueDoesNotExist", "sources.photos.queue", "is not there"),
    "not allowed": ("AccessDeniedException", "sources.photos.queue", "allowed sqs:GetQueueAttributes"),
    "wrong key": ("InvalidClientTokenId", "sources.photos.profile", "credentials that are accepted"),
    "expired": ("ExpiredTokenException", "sources.photos.profile", "credentials that are accepted"),
    "odd": ("InvalidAddress", "sources.photos.queue", "a queue that can be read"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_what_a_person_has_to_mend_is_told_at_the_start(cloud: Cloud, proxy: Proxy, refusal: str) -> None:
    code, field, hint = REFUSALS[refusal]
    proxy.faults = {"GetQueueAttributes": lambda _: failure(400, code)}
    read = source(await cloud.queue(), "photos", endpoint=proxy.url)
    for attempt in (read.check(), read.run(Taker().deliver, lambda: None)):
        with pytest.raises(ConfigError) as caught:
            await asyncio.wait_for(attempt, 10)
        (problem,) = caught.value.problems
        assert problem.field == field
        assert code in problem.found
        assert hint in problem.allowed
        assert "secret words" not in str(caught.value)


async def test_a_queue_that_is_not_there_is_told_with_its_option(cloud: Cloud) -> None:
    with pytest.raises(ConfigError, match=r"sources\.photos\.queue: is not there.*QueueDoesNotExist|NonExistentQueue"):
        await source("nobody-made-it", "photos", endpoint=cloud.server.endpoint).check()


async def test_no_credentials_at_all_are_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = await cloud.queue()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match=r"sources\.photos\.profile: credentials that are accepted are needed"):
        await source(queue, "photos", endpoint=cloud.server.endpoint).check()


async def test_rotated_keys_are_picked_up_without_a_restart(cloud: Cloud, proxy: Proxy, tmp_path: Path) -> None:
    queue = await cloud.queue()
    valid = "FIRST"
    proxy.faults = {"*": allowing(lambda: valid)}
    places = {name: tmp_path / name for name in ("access_key_id", "secret_access_key")}
    for place in places.values():
        place.write_text("FIRST")
    refs: dict[str, Any] = {name: SecretRef(file=place) for name, place in places.items()}
    taker = Taker()
    async with running(source(queue, "photos", endpoint=proxy.url, **refs), taker) as job:
        await cloud.send(queue, record("photos", "before.jpg"))
        await until("it arrived", lambda: taker.keys() == {"before.jpg"})
        places["access_key_id"].write_text("SECOND")
        valid = "SECOND"
        await cloud.send(queue, record("photos", "after.jpg"))
        await until("the next arrived", lambda: taker.of("after.jpg"))
        assert not job.done()
        await eventually("the queue is empty", lambda: cloud.is_empty(queue))


async def test_rotated_keys_of_the_environment_are_picked_up_too(
    cloud: Cloud, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = await cloud.queue()
    valid = "test"
    proxy.faults = {"*": allowing(lambda: valid)}
    taker = Taker()
    async with running(source(queue, "photos", endpoint=proxy.url), taker):
        await cloud.send(queue, record("photos", "before.jpg"))
        await until("it arrived", lambda: taker.keys() == {"before.jpg"})
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SECOND")
        valid = "SECOND"
        await cloud.send(queue, record("photos", "after.jpg"))
        await until("the next arrived", lambda: taker.of("after.jpg"))


async def test_access_lost_while_it_runs_is_waited_for_and_what_was_missed_is_looked_for(
    cloud: Cloud, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs_consumer, "MEND_EVERY", 0.05)
    queue = await cloud.queue()
    taker = Taker()
    read = source(queue, "photos", endpoint=proxy.url, pollers=1)
    async with running(read, taker) as job:
        await until("it listens", lambda: taker.rescans == 1)
        proxy.faults = {"ReceiveMessage": lambda _: failure(403, "AccessDeniedException")}
        await until("it tells", lambda: "allowed sqs:ReceiveMessage" in read.degraded)
        assert not job.done()
        proxy.faults = {}
        await cloud.send(queue, record("photos", "a.jpg"))
        await until("it arrived", lambda: taker.keys() == {"a.jpg"})
        assert (read.degraded, taker.rescans) == ("", 2)
