"""The source `pubsub`, over HTTP against a double of Pub/Sub that says that it is one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from syncd.domain.errors import ConfigError, Retryable
from syncd.domain.model import ObjectRef
from syncd.domain.notifications import BadEvent
from syncd.ports import Seen
from syncd.sources.pubsub import PubSubOptions, PubSubSource
from tests.pubsub_double import SUBSCRIPTION, PubSubDouble, gcs_attributes, gcs_data
from tests.sources.hurried import HurriedClock
from tests.sources.taking import Taker, buckets, running
from tests.sources.waiting import until

SPEED = 20.0


@pytest.fixture
async def pubsub() -> AsyncIterator[PubSubDouble]:
    async with PubSubDouble(speed=SPEED).serving() as double:
        yield double


def source(pubsub: PubSubDouble, **options: Any) -> PubSubSource:
    settings = {"subscription": SUBSCRIPTION, "buckets": ["photos"], "endpoint": pubsub.url, **options}
    checked = PubSubOptions.model_validate(settings)
    return PubSubSource("photos", checked, stores=buckets(photos="gs://photos"), clock=HurriedClock(SPEED))


def put(pubsub: PubSubDouble, key: str, generation: int = 1, bucket: str = "photos") -> str:
    attributes = gcs_attributes(key, generation=generation, bucket=bucket)
    return pubsub.publish(attributes, gcs_data(key, generation=generation, bucket=bucket))


def with_account(pubsub: PubSubDouble, folder: Path) -> dict[str, Any]:
    """Options by which a service account's credential is used."""
    pubsub.secured = True
    (folder / "account.json").write_text(pubsub.service_account())
    return {"credentials": {"file": str(folder / "account.json")}}


async def test_what_came_and_went_is_delivered_and_then_acknowledged(pubsub: PubSubDouble) -> None:
    taker = Taker()
    keys = ["a.jpg", "deep/ä b+c%20.jpg", "//x/../y"]
    for key in keys:
        put(pubsub, key)
    pubsub.publish(gcs_attributes("gone.jpg", generation=2, event="OBJECT_DELETE"), gcs_data("gone.jpg"))
    async with running(source(pubsub), taker):
        await until("all is acknowledged", lambda: not pubsub.messages)
    assert taker.rescans == 1
    latest = taker.latest()
    assert {ref.key for ref, seen in latest.items() if not seen.gone} == set(keys)
    assert latest[ObjectRef("gs://photos", "gone.jpg")].gone
    assert latest[ObjectRef("gs://photos", "a.jpg")].etag == "0" * 31 + "1"
    assert latest[ObjectRef("gs://photos", "a.jpg")].size == 3


async def test_nothing_is_acknowledged_before_it_was_taken(pubsub: PubSubDouble) -> None:
    taker = Taker()
    taker.refusals = 10_000
    put(pubsub, "a.jpg")
    async with running(source(pubsub), taker):
        await until("it was refused", lambda: taker.calls >= 3)
        assert "acknowledge" not in pubsub.calls
        taker.refusals = 0
        await until("it is acknowledged", lambda: pubsub.acknowledged)
    assert taker.keys == ["a.jpg"]


async def test_a_deadline_is_extended_while_a_delivery_is_slow(pubsub: PubSubDouble) -> None:
    taker = Taker()
    taker.slow = 40 / SPEED  # the deadlines of the subscription and of the source are 10 s
    put(pubsub, "a.jpg")
    message = next(iter(pubsub.messages.values()))
    async with running(source(pubsub, ack_deadline=10), taker):
        await until("it is acknowledged", lambda: pubsub.acknowledged)
    assert taker.keys == ["a.jpg"]
    assert message.deliveries == 1
    assert pubsub.calls.count("modifyAckDeadline") >= 3


async def test_what_is_under_way_is_given_back_when_the_source_stops(pubsub: PubSubDouble) -> None:
    taker = Taker()
    taker.slow = 60.0
    put(pubsub, "a.jpg")
    async with running(source(pubsub, ack_deadline=600), taker):
        await until("it is under way", lambda: taker.calls)
    other = Taker()
    async with running(source(pubsub), other):
        await until("another host has it", lambda: other.keys == ["a.jpg"])


async def test_a_host_that_dies_loses_nothing(pubsub: PubSubDouble) -> None:
    pubsub.deadline = 4.0
    put(pubsub, "a.jpg")
    assert (await pubsub._pull({"maxMessages": 1}))["receivedMessages"]  # by one that is never heard of again
    taker = Taker()
    async with running(source(pubsub), taker):
        await until("it came again", lambda: taker.keys == ["a.jpg"])


async def test_messages_that_can_never_be_read_are_kept_for_a_person_and_hold_nobody_up(pubsub: PubSubDouble) -> None:
    taker = Taker()
    pubsub.publish({}, b'{"order": 7}')
    pubsub.publish({"eventType": "OBJECT_FINALIZE"}, b"\xff\xfe")
    pubsub.publish(gcs_attributes("nul\0.jpg"), b"")
    put(pubsub, "good.jpg")
    async with running(source(pubsub, in_flight=1), taker):
        await until("all is acknowledged", lambda: len(pubsub.acknowledged) == 4)
    assert taker.keys == ["good.jpg"]
    assert [bad.reason for bad in taker.bad] == ["malformed", "malformed", "invalid_key"]
    assert taker.bad[0].excerpt == b'{"order": 7}'


async def test_events_of_other_buckets_and_of_no_content_go_no_further(pubsub: PubSubDouble) -> None:
    taker = Taker()
    put(pubsub, "a.jpg", bucket="others")
    pubsub.publish(gcs_attributes("b.jpg", event="OBJECT_METADATA_UPDATE"), gcs_data("b.jpg"))
    async with running(source(pubsub), taker):
        await until("both are acknowledged", lambda: len(pubsub.acknowledged) == 2)
    assert not taker.calls


@pytest.mark.parametrize("status", [429, 500, 503, 403, 400])
async def test_an_outage_or_a_refusal_is_waited_out(pubsub: PubSubDouble, status: int) -> None:
    taker = Taker()
    put(pubsub, "a.jpg")
    pubsub.fail_next = [status] * 5
    async with running(source(pubsub, in_flight=2), taker):
        await until("it came", lambda: taker.keys == ["a.jpg"])


async def test_a_failed_acknowledgement_only_repeats_what_is_known(pubsub: PubSubDouble) -> None:
    pubsub.deadline = 6.0
    taker = Taker()
    taker.slow = 0.05
    put(pubsub, "a.jpg")
    async with running(source(pubsub, in_flight=1), taker):
        await until("it is delivered", lambda: taker.calls)
        pubsub.fail_next = [503] * 3
        await until("it is acknowledged at last", lambda: pubsub.acknowledged)
    assert taker.keys == ["a.jpg", "a.jpg"]
    assert len({seen.version for _, seen in taker.seen}) == 1


async def test_many_messages_are_under_way_at_once(pubsub: PubSubDouble) -> None:
    taker = Taker()
    taker.slow = 0.5
    for n in range(100):
        put(pubsub, f"{n}.jpg")
    taken = [*pubsub.messages.values()]
    async with running(source(pubsub, batch=10, in_flight=10, ack_deadline=600), taker):
        await until("all are taken", lambda: all(message.deliveries for message in taken))
        assert taker.calls <= 1
        taker.slow = 0.0
        await until("all are acknowledged", lambda: len(pubsub.acknowledged) == 100)
    assert sorted(taker.keys) == sorted(f"{n}.jpg" for n in range(100))  # none twice


async def test_a_bug_is_not_hidden(pubsub: PubSubDouble) -> None:
    put(pubsub, "a.jpg")

    async def deliver(seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(source(pubsub).run(deliver, lambda: None), 20)


# ---------------------------------------------------------------- who we are there


async def test_a_service_account_opens_the_subscription(pubsub: PubSubDouble, tmp_path: Path) -> None:
    taker = Taker()
    put(pubsub, "a.jpg")
    secured = source(pubsub, **with_account(pubsub, tmp_path))
    await secured.check()
    async with running(secured, taker):
        await until("it is acknowledged", lambda: pubsub.acknowledged)
    assert pubsub.calls.count("token") == 2  # one for the check, one for all batches


async def test_a_token_that_is_refused_is_replaced(pubsub: PubSubDouble, tmp_path: Path) -> None:
    taker = Taker()
    async with running(source(pubsub, **with_account(pubsub, tmp_path)), taker):
        await until("it pulls", lambda: "pull" in pubsub.calls)
        pubsub.access_tokens.clear()
        put(pubsub, "a.jpg")
        await until("it is acknowledged", lambda: pubsub.acknowledged)
    assert taker.keys == ["a.jpg"]


@pytest.mark.parametrize(
    ("name", "allowed", "says"),
    [("other", True, "an existing subscription"), ("photos", False, "roles/pubsub.subscriber")],
)
async def test_a_subscription_that_can_never_be_pulled_is_told_at_the_start(
    pubsub: PubSubDouble, tmp_path: Path, name: str, allowed: bool, says: str
) -> None:
    pubsub.allowed = allowed
    options = {**with_account(pubsub, tmp_path), "subscription": f"projects/project/subscriptions/{name}"}
    with pytest.raises(ConfigError) as caught:
        await source(pubsub, **options).check()
    (problem,) = caught.value.problems
    assert problem.field == "sources.photos.subscription"
    assert says in problem.allowed


@pytest.mark.parametrize("text", ["", "no json", "{}", '{"type": "service_account", "private_key": "SECRET"}', "[1]"])
async def test_a_credential_that_is_none_is_told_without_quoting_it(
    pubsub: PubSubDouble, tmp_path: Path, text: str
) -> None:
    options = with_account(pubsub, tmp_path)
    (tmp_path / "account.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        await source(pubsub, **options).check()
    assert caught.value.problems[0].field == "sources.photos.credentials"
    assert "SECRET" not in str(caught.value)


async def test_google_out_of_reach_is_no_mistake_of_the_configuration(pubsub: PubSubDouble, tmp_path: Path) -> None:
    options = with_account(pubsub, tmp_path)
    pubsub.fail_next = [503]
    with pytest.raises(Retryable) as caught:
        await source(pubsub, **options).check()
    assert "secret detail" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"subscription": "photos"},
        {"subscription": "projects/p/topics/photos"},
        {"endpoint": "http://pubsub.example.com", "credentials": {"env": "KEY"}},
        {"endpoint": "ftp://x"},
        {"batch": 0},
        {"ack_deadline": 5},
        {"buckets": []},
        {"unknown": 1},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PubSubOptions.model_validate({"subscription": SUBSCRIPTION, "buckets": ["photos"], **options})


async def test_missing_packages_are_named_with_the_extra_that_brings_them(
    pubsub: PubSubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(ConfigError, match=r"pip install 'syncd\[gcp\]'"):
        await source(pubsub).check()
