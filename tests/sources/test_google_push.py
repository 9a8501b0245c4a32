"""The sources `pubsub-push` and `eventarc`, over HTTP, with tokens really signed and keys really fetched."""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization

from syncd.domain.errors import ConfigError, Retryable
from syncd.sources.google_push import EventarcSource, GooglePushSource, PubSubPushSource
from syncd.sources.oidc import AGAIN_S, KEPT_S, STALE_S
from tests.clock import FakeClock
from tests.pubsub_double import EMAIL, PubSubDouble, gcs_attributes, gcs_data, signing_key
from tests.sources.pushing import Answer, Post, listening, stores

URL = "https://syncd.example.com/events/photos"
"""What the push subscription names as its audience."""
PATH = "/events/photos"


class World:
    """A source behind a receiver, Google's keys, and what pushes to it."""

    def __init__(self, kind: type[GooglePushSource], google: PubSubDouble) -> None:
        self.google = google
        self.clock = FakeClock(time.time())
        options = kind.Options.model_validate({
            "buckets": ["photos"], "audience": URL, "service_account": EMAIL, "keys_url": f"{google.url}/keys",
        })  # fmt: skip
        self.source = kind("photos", options, stores=stores(photos="gs://photos"), clock=self.clock)  # type: ignore[arg-type]
        self.post = Post()

    async def push(self, token: str | None, body: bytes | None = None) -> Answer:
        """One message, of `a.jpg` unless told otherwise."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.post.post(PATH, envelope("a.jpg") if body is None else body, **JSON, **headers)

    @property
    def fetches(self) -> int:
        return self.google.calls.count("keys")


JSON = {"Content_Type": "application/json"}


def envelope(key: str, attributes: dict[str, str] | None = None) -> bytes:
    said = gcs_attributes(key) if attributes is None else attributes
    data = base64.b64encode(gcs_data(key)).decode()
    message = {"attributes": said, "data": data, "messageId": "7", "message_id": "7"}
    return orjson.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})


@pytest.fixture
async def google() -> AsyncIterator[PubSubDouble]:
    async with PubSubDouble().serving() as double:
        yield double


@pytest.fixture
async def world(google: PubSubDouble) -> AsyncIterator[World]:
    made = World(PubSubPushSource, google)
    async with listening(made.source) as made.post:
        yield made


async def test_what_pubsub_pushes_is_delivered_and_acknowledged(world: World) -> None:
    keys = ["a.jpg", "deep/ä b+c%20.jpg"]
    for key in keys:
        world.google.publish(gcs_attributes(key), gcs_data(key))
    assert await world.google.push(world.post.url(PATH), URL) == [204, 204]
    assert world.post.keys() == keys
    assert {ref.bucket for ref, _ in world.post.seen} == {"gs://photos"}
    assert world.fetches == 1


async def test_what_cannot_be_stored_now_is_pushed_again(world: World) -> None:
    world.google.publish(gcs_attributes("a.jpg"), gcs_data("a.jpg"))
    world.post.error = Retryable("the state store is busy")
    assert await world.google.push(world.post.url(PATH), URL) == [503]
    world.post.error = None
    assert await world.google.push(world.post.url(PATH), URL) == [204]
    assert world.post.keys() == ["a.jpg"]


async def test_a_message_that_can_never_be_read_is_kept_for_a_person_and_not_sent_again(world: World) -> None:
    world.google.publish({"order": "7"}, b"anything")
    assert await world.google.push(world.post.url(PATH), URL) == [204]
    (bad,) = world.post.bad
    assert bad.reason == "malformed"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"message": 7}', b'{"message": {"data": "%"}}', b"[" * 9999]
)
async def test_a_body_that_is_no_message_of_pubsub_is_400(world: World, body: bytes) -> None:
    assert (await world.push(world.google.token(URL), body)).status == 400
    assert not world.post.deliveries


async def test_events_of_other_buckets_are_acknowledged_and_go_no_further(world: World) -> None:
    other = envelope("a.jpg", gcs_attributes("a.jpg", bucket="others"))
    assert (await world.push(world.google.token(URL), other)).status == 204
    assert not world.post.deliveries


# ---------------------------------------------------------------- tokens that do not open it

Forgery = Callable[[PubSubDouble], str | None]


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(google: PubSubDouble) -> str:
    header, claims, _ = google.token(URL).split(".")
    assert header
    return f"{part({'alg': 'none', 'kid': 'key-1', 'typ': 'JWT'})}.{claims}."


def signed_with_the_public_key(_: PubSubDouble) -> str:
    """HS256, with what everybody knows as the secret."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = signing_key("key-1").public_key().public_bytes(serialization.Encoding.PEM, spki)
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": URL, "email": EMAIL, "email_verified": True}
    said = f"{part({'alg': 'HS256', 'kid': 'key-1'})}.{part({**claims, 'iat': now, 'exp': now + 3600})}"
    signature = hmac.new(public, said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def with_another_algorithm(_: PubSubDouble) -> str:
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": URL, "email": EMAIL, "email_verified": True}
    key = signing_key("key-1")
    return jwt.encode({**claims, "iat": now, "exp": now + 3600}, key, algorithm="RS512", headers={"kid": "key-1"})


def tampered(google: PubSubDouble) -> str:
    header, claims, signature = google.token(URL, email="other@x").split(".")
    padded = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
    return f"{header}.{part({**json.loads(padded), 'email': EMAIL})}.{signature}"


def bringing_its_own_key(google: PubSubDouble) -> str:
    own = jwt.algorithms.RSAAlgorithm.to_jwk(signing_key("forged").public_key(), as_dict=True)
    return google.token(URL, key="forged", headers={"kid": "key-1", "jwk": own, "jku": f"{google.url}/forged"})


FORGERIES: dict[str, Forgery] = {
    "none at all": lambda _: None,
    "no token": lambda _: "not.a.token",
    "an empty one": lambda _: "",
    "a huge one": lambda _: f"{part({'alg': 'RS256', 'kid': 'k' * 5000})}.e30.AA",
    "nested deeply": lambda _: f"{base64.urlsafe_b64encode(b'[' * 4000).decode().rstrip('=')}.e30.AA",
    "unsigned": unsigned,
    "signed with the public key": signed_with_the_public_key,
    "another algorithm": with_another_algorithm,
    "tampered with": tampered,
    "signed by somebody else": lambda g: g.token(URL, key="forged", headers={"kid": "key-1"}),
    "bringing its own key": bringing_its_own_key,
    "an unknown key": lambda g: g.token(URL, key="unknown"),
    "no key id": lambda g: g.token(URL, headers={"kid": None}),
    "another audience": lambda g: g.token("https://syncd.example.com/events/other"),
    "several audiences": lambda g: g.token(URL, aud=[URL, "https://other"]),
    "no audience": lambda g: g.token(URL, aud=None),
    "another issuer": lambda g: g.token(URL, iss="https://accounts.example.com"),
    "no issuer": lambda g: g.token(URL, iss=None),
    "another e-mail": lambda g: g.token(URL, email="other@project.iam.gserviceaccount.com"),
    "no e-mail": lambda g: g.token(URL, email=None),
    "an e-mail not verified": lambda g: g.token(URL, email_verified=False),
    "an e-mail verified in words": lambda g: g.token(URL, email_verified="true"),
    "nothing said of the e-mail": lambda g: g.token(URL, email_verified=None),
    "expired": lambda g: g.token(URL, iat=int(time.time()) - 4000, exp=int(time.time()) - 400),
    "without an end": lambda g: g.token(URL, exp=None),
    "of the future": lambda g: g.token(URL, iat=int(time.time()) + 600, exp=int(time.time()) + 4200),
    "not valid yet": lambda g: g.token(URL, nbf=int(time.time()) + 600),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_token_that_is_not_googles_for_us_is_401_and_nothing_is_stored(world: World, forge: Forgery) -> None:
    answer = await world.push(forge(world.google))
    assert answer.status == 401
    assert b"token" not in answer.body  # it does not learn what was wrong
    assert not world.post.deliveries
    assert world.fetches <= 1
    assert set(world.google.calls) <= {"keys"}  # nothing it names was fetched


async def test_two_tokens_at_once_are_401(world: World) -> None:
    header = ("Authorization", f"Bearer {world.google.token(URL)}")
    answer = await world.post.ask(
        "POST", PATH, envelope("a.jpg"), [header, header, ("Content-Type", "application/json")]
    )
    assert answer.status == 401


@pytest.mark.parametrize("seconds", [-30, 30])
async def test_clocks_may_differ_a_little(world: World, seconds: int) -> None:
    now = int(time.time()) + seconds
    token = world.google.token(URL, iat=now, exp=now + (3600 if seconds > 0 else 1))
    assert (await world.push(token)).status == 204


# ---------------------------------------------------------------- keys


async def test_keys_are_fetched_once_and_again_after_an_hour(world: World) -> None:
    for _ in range(5):
        assert (await world.push(world.google.token(URL))).status == 204
    assert world.fetches == 1
    world.clock.advance(KEPT_S + 1)
    assert (await world.push(world.google.token(URL))).status == 204
    assert world.fetches == 2


async def test_a_new_key_of_googles_is_found_when_it_is_used(world: World) -> None:
    assert (await world.push(world.google.token(URL))).status == 204
    world.google.keys = ["key-1", "key-2"]
    world.clock.advance(AGAIN_S + 1)
    assert (await world.push(world.google.token(URL, key="key-2"))).status == 204
    assert world.fetches == 2


async def test_a_storm_of_unknown_key_ids_fetches_keys_once_in_half_a_minute(world: World) -> None:
    for n in range(20):
        assert (await world.push(world.google.token(URL, headers={"kid": f"made-up-{n}"}))).status == 401
    assert world.fetches == 1
    assert (await world.push(world.google.token(URL))).status == 204


async def test_who_shows_a_known_key_does_not_wait_while_others_are_asked_for(world: World) -> None:
    """Anybody may make up key ids; Google's answer may take its time."""
    assert (await world.push(world.google.token(URL))).status == 204
    world.clock.advance(AGAIN_S + 1)
    world.google.hold = asyncio.Event()
    made_up = asyncio.create_task(world.push(world.google.token(URL, headers={"kid": "made-up"})))
    try:
        async with asyncio.timeout(5):
            while world.fetches < 2:
                await asyncio.sleep(0.01)
            assert (await world.push(world.google.token(URL))).status == 204
    finally:
        world.google.hold.set()
    assert (await made_up).status == 401


async def test_keys_out_of_reach_are_our_trouble_and_not_the_senders(world: World) -> None:
    world.google.keys = []
    assert (await world.push(world.google.token(URL))).status == 503
    assert (await world.push(world.google.token(URL))).status == 503
    assert world.fetches == 1
    world.google.keys = ["key-1"]
    world.clock.advance(AGAIN_S + 1)
    assert (await world.push(world.google.token(URL))).status == 204


async def test_known_keys_outlive_an_outage_for_a_day(world: World) -> None:
    assert (await world.push(world.google.token(URL))).status == 204
    world.google.keys = []
    world.clock.advance(KEPT_S + 1)
    assert (await world.push(world.google.token(URL))).status == 204
    assert (await world.push(world.google.token(URL, key="key-2"))).status == 503  # perhaps it is a new one
    world.clock.advance(STALE_S)
    assert (await world.push(world.google.token(URL))).status == 503


async def test_a_revoked_key_opens_nothing_any_more_after_an_hour(world: World) -> None:
    assert (await world.push(world.google.token(URL))).status == 204
    world.google.keys = ["key-2"]
    world.clock.advance(KEPT_S + 1)
    assert (await world.push(world.google.token(URL))).status == 401


# ---------------------------------------------------------------- Eventarc


async def test_eventarc_is_checked_alike_and_its_cloud_events_are_delivered(google: PubSubDouble) -> None:
    world = World(EventarcSource, google)
    event: dict[str, Any] = {
        "ce-id": "1",
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": "//storage.googleapis.com/projects/_/buckets/photos",
        "ce-subject": "objects/deep/a b.jpg",
        "ce-bucket": "photos",
        "content-type": "application/json",
    }
    async with listening(world.source) as post:
        headers = {**event, "authorization": f"Bearer {google.token(URL)}"}
        answer = await post.ask("POST", PATH, gcs_data("deep/a b.jpg"), headers)
        assert answer.status == 204
        forged = {**event, "authorization": f"Bearer {google.token('https://elsewhere')}"}
        assert (await post.ask("POST", PATH, gcs_data("b.jpg"), forged)).status == 401
    assert post.keys() == ["deep/a b.jpg"]
    assert post.last("deep/a b.jpg").etag


async def test_missing_packages_are_named_with_the_extra_that_brings_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigError, match=r"pip install 'syncd\[gcp\]'"):
        await world.source.check()
