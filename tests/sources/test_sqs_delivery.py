"""When a message is deleted, when it stays hidden, and when it goes back: on two emulators of SQS, or one."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from syncd.domain.errors import Retryable
from syncd.domain.notifications import BadEvent
from syncd.ports import Seen
from tests.sources.sqs_world import Cloud, Taker, eventually, record, refusing, running, source
from tests.sources.waiting import until

on_one = pytest.mark.parametrize("aws", ["ministack"], indirect=True)
"""For what no emulator has a say in."""


async def test_nothing_is_deleted_before_it_was_taken_and_all_of_it_then(cloud: Cloud) -> None:
    queue = await cloud.queue()
    keys = {f"{n}.jpg" for n in range(30)}
    await cloud.send(queue, *(record("photos", key) for key in sorted(keys)))
    refuse = refusing(3)

    async def all_there() -> bool:
        return sum(await cloud.waiting(queue)) == 30

    async def before(call: int) -> None:
        if call <= 4:  # a count is taken while messages are received: it may be off for a moment
            await eventually("all are still there", all_there, within=5)
        await refuse(call)

    taker = Taker(before)
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint), taker):
        await until("all arrived", lambda: taker.keys() == keys)
        await eventually("the queue is empty", lambda: cloud.is_empty(queue))
    assert taker.calls > 3


@on_one
async def test_many_messages_are_one_delivery(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, *(record("photos", f"{n}.jpg") for n in range(100)))
    taker = Taker(lambda call: asyncio.sleep(0.3))
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint), taker):
        await until("all arrived", lambda: len(taker.keys()) == 100)
        await eventually("the queue is empty", lambda: cloud.is_empty(queue))
    assert taker.calls <= 5


@on_one
async def test_a_message_of_many_events_is_delivered_in_bounded_pieces(cloud: Cloud) -> None:
    queue = await cloud.queue()
    one = json.loads(record("photos", "x"))["Records"][0]
    many = [{**one, "s3": {**one["s3"], "object": {**one["s3"]["object"], "key": f"{n}.jpg"}}} for n in range(250)]
    await cloud.send(queue, json.dumps({"Records": many}))
    sizes: list[int] = []

    class Measuring(Taker):
        async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
            sizes.append(len(seen))
            await super().deliver(seen, bad)

    taker = Measuring()
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint, batch=100), taker):
        await until("all arrived", lambda: len(taker.keys()) == 250)
    assert sizes == [100, 100, 50]


async def test_what_is_slow_stays_hidden_and_is_delivered_once(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, *(record("photos", f"{n}.jpg") for n in range(12)))
    taker = Taker(lambda call: asyncio.sleep(2.5))
    read = source(queue, "photos", endpoint=cloud.server.endpoint, visibility=1, heartbeat=0.25, pollers=3)
    async with running(read, taker):
        await until("all arrived", lambda: len(taker.seen) == 12)
        await eventually("the queue is empty", lambda: cloud.is_empty(queue))
    assert set(Counter(ref.key for ref, _ in taker.seen).values()) == {1}


async def test_a_message_twice_in_the_queue_is_delivered_twice_and_deleted_twice(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, *[record("photos", "a.jpg")] * 3)
    taker = Taker()
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint), taker):
        await eventually("the queue is empty", lambda: cloud.is_empty(queue))
    assert [ref.key for ref, _ in taker.seen] == ["a.jpg"] * 3


async def test_a_receipt_that_went_stale_is_told_and_stops_nothing(cloud: Cloud) -> None:
    """Another reader got the message meanwhile; ministack refuses our receipt then, moto takes it."""
    queue = await cloud.queue()
    await cloud.send(queue, record("photos", "a.jpg"))

    async def steal(call: int) -> None:
        if call == 1:
            again = await cloud.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=3, VisibilityTimeout=1)
            assert len(again["Messages"]) == 1

    taker = Taker(steal)
    read = source(queue, "photos", endpoint=cloud.server.endpoint, pollers=1, in_flight=10)  # it takes no more itself
    read._pace = replace(read._pace, visibility=1)  # it ends before any heartbeat, as on a host that stood still
    with capture_logs() as logs:
        async with running(read, taker):
            await until("it arrived", lambda: taker.seen)
            await eventually("the queue is empty", lambda: cloud.is_empty(queue))
            await cloud.send(queue, record("photos", "b.jpg"))
            await until("the next arrived", lambda: taker.of("b.jpg"))
    stale = [line for line in logs if line["event"] == "receipts.stale"]
    assert len(stale) == (1 if cloud.server.name == "ministack" else 0)


@on_one
async def test_what_nobody_can_take_goes_back_soon_and_comes_again(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, record("photos", "a.jpg"))

    async def before(call: int) -> None:
        if call <= 2:
            raise Retryable("the state store is down", retry_after=1)

    taker = Taker(before)
    read = source(queue, "photos", endpoint=cloud.server.endpoint, hold=0, visibility=600, heartbeat=200)
    with capture_logs() as logs:
        async with running(read, taker):
            await until("it arrived", lambda: taker.seen, within=8)
            await eventually("the queue is empty", lambda: cloud.is_empty(queue))
    assert [line["seconds"] for line in logs if line["event"] == "messages.handed_back"] == [1, 1]


@on_one
async def test_our_own_outage_sends_nothing_to_the_dead_letters(cloud: Cloud) -> None:
    dead = await cloud.queue()
    redrive = {"deadLetterTargetArn": await cloud.arn(dead), "maxReceiveCount": "2"}
    queue = await cloud.queue(RedrivePolicy=json.dumps(redrive))
    await cloud.send(queue, *(record("photos", f"{n}.jpg") for n in range(15)))
    taker = Taker(refusing(30))
    read = source(queue, "photos", endpoint=cloud.server.endpoint, visibility=1, heartbeat=0.25)
    async with running(read, taker):
        await until("all arrived", lambda: len(taker.keys()) == 15)
        await eventually("the queue is empty", lambda: cloud.is_empty(queue))
    assert taker.calls > 30
    assert await cloud.is_empty(dead)


@on_one
async def test_no_more_is_received_than_may_be_in_flight(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, *(record("photos", f"{n}.jpg") for n in range(60)))
    go = asyncio.Event()

    async def before(call: int) -> None:
        await go.wait()

    taker = Taker(before)
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint, in_flight=20, pollers=4), taker):
        await eventually("it is full", lambda: _hidden(cloud, queue, 20))
        await asyncio.sleep(0.2)
        assert await cloud.waiting(queue) == (40, 20)
        go.set()
        await until("all arrived", lambda: len(taker.keys()) == 60)


async def test_what_was_not_delivered_when_it_ends_can_be_received_at_once(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, *(record("photos", f"{n}.jpg") for n in range(25)))
    held = asyncio.Event()

    async def before(call: int) -> None:
        held.set()
        await asyncio.Event().wait()

    read = source(queue, "photos", endpoint=cloud.server.endpoint, visibility=600, heartbeat=200)
    async with running(read, Taker(before)):
        await asyncio.wait_for(held.wait(), 10)
        await eventually("all are held", lambda: _hidden(cloud, queue, 25))
    assert await cloud.waiting(queue) == (25, 0)


@on_one
async def test_what_was_delivered_when_it_ends_is_deleted(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, record("photos", "a.jpg"))
    taker = Taker()
    job: asyncio.Task[None]

    async def before(call: int) -> None:
        asyncio.get_running_loop().call_soon(job.cancel)

    taker.before = before
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint), taker) as job:
        await asyncio.wait([job], timeout=10)
    assert taker.seen
    assert await cloud.is_empty(queue)


@on_one
async def test_a_bug_is_not_hidden_and_nothing_is_deleted(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, record("photos", "a.jpg"))

    async def before(call: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with running(source(queue, "photos", endpoint=cloud.server.endpoint), Taker(before)) as job:
            await asyncio.wait([job], timeout=10)
    assert await cloud.waiting(queue) == (1, 0)


async def _hidden(cloud: Cloud, queue: str, count: int) -> bool:
    return (await cloud.waiting(queue))[1] == count
