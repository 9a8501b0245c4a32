"""Our own `POST /events/NAME`: signatures, tokens, rotation, and that its OpenAPI description is true."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import ValidationError
from standardwebhooks import Webhook

from syncd.domain.errors import ConfigError
from syncd.sources.http import HttpOptions, HttpSource
from syncd.sources.openapi import EXAMPLES
from tests.clock import FakeClock
from tests.known_secrets import HUSH, signing_secret
from tests.sources.pushing import Post, counted, listening, made

KEYS = [signing_secret(f"http {n}") for n in range(3)]
NOW = float(int(time.time()))
BODY = json.dumps({"bucket": "photos", "events": [{"type": "created", "key": "a b+%2B.jpg"}]}).encode()


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NEW": KEYS[0], "OLD": KEYS[1], "TOKEN": HUSH}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    options: dict[str, Any] = {"secrets": [{"env": "NEW"}, {"env": "OLD"}], "tokens": [{"env": "TOKEN"}]}
    async with listening(made(HttpSource, FakeClock(NOW), **options)) as listens:
        yield listens


def signed(body: bytes = BODY, key: str = KEYS[0], at: float = NOW, id_: str = "msg_1") -> dict[str, str]:
    """As the library of Standard Webhooks signs."""
    code = Webhook(key).sign(id_, datetime.fromtimestamp(at, UTC), body.decode())
    headers = {"webhook-id": id_, "webhook-timestamp": str(int(at)), "webhook-signature": code}
    return {"Content-Type": "application/json", **headers}


async def send(post: Post, headers: dict[str, str], body: bytes = BODY) -> int:
    return (await post.ask("POST", "/events/photos", body, headers)).status


# ------------------------------------------------------------ signatures


async def test_what_the_standards_own_library_signs_is_taken_and_keys_come_as_they_are(post: Post) -> None:
    assert await send(post, signed()) == 204
    assert post.keys() == ["a b+%2B.jpg"]


async def test_both_secrets_open_while_one_is_replaced_and_a_third_does_not(post: Post) -> None:
    assert await send(post, signed(key=KEYS[1])) == 204
    assert await send(post, signed(key=KEYS[2])) == 401
    both = signed(key=KEYS[2])
    both["webhook-signature"] += f" v1a,AAAA {signed()['webhook-signature']}"
    assert await send(post, both) == 204


async def test_a_secret_without_its_padding_or_prefix_is_the_same_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW", KEYS[0].removeprefix("whsec_").rstrip("="))
    async with listening(made(HttpSource, FakeClock(NOW), secrets=[{"env": "NEW"}])) as post:
        assert await send(post, signed()) == 204


@pytest.mark.parametrize("off", [-301, 301, -86_400, 10**9])
async def test_an_old_or_future_timestamp_is_refused(post: Post, off: int) -> None:
    assert await send(post, signed(at=NOW + off)) == 401


@pytest.mark.parametrize("off", [-300, 300])
async def test_five_minutes_are_allowed_both_ways(post: Post, off: int) -> None:
    assert await send(post, signed(at=NOW + off)) == 204


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_missing_header_is_refused(post: Post, missing: str) -> None:
    headers = signed()
    del headers[missing]
    assert await send(post, headers) == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_2"),
        ("webhook-id", "x" * 300),
        ("webhook-timestamp", "soon"),
        ("webhook-timestamp", "-1"),
        ("webhook-timestamp", "\u0661\u0667\u0660\u0660"),
        ("webhook-timestamp", "9" * 40),
        pytest.param("webhook-timestamp", f"{NOW}", id="webhook-timestamp-a fraction"),
        ("webhook-signature", ""),
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,not base64"),
        ("webhook-signature", "v1,ü"),
        ("webhook-signature", "v2,{signature}"),
        ("webhook-signature", "{signature}"),
    ],
)
async def test_headers_that_are_not_what_was_signed_are_refused(post: Post, name: str, value: str) -> None:
    headers = signed()
    headers[name] = value.format(signature=headers["webhook-signature"].removeprefix("v1,"))
    assert await send(post, headers) == 401
    assert post.deliveries == 0


@pytest.mark.parametrize("id_", ["", "x" * 257])
async def test_an_id_is_1_to_256_characters_however_well_it_is_signed(post: Post, id_: str) -> None:
    assert await send(post, signed(id_=id_)) == 401


async def test_the_bytes_are_signed_not_their_meaning(post: Post) -> None:
    assert await send(post, signed(), json.dumps(json.loads(BODY), indent=1).encode()) == 401
    assert post.deliveries == 0


async def test_a_replay_within_five_minutes_says_the_same_again_and_no_more(post: Post) -> None:
    headers = signed()
    assert [await send(post, headers), await send(post, headers)] == [204, 204]
    assert len(set(post.seen)) == 1


# ------------------------------------------------------------ tokens and secrets


async def test_a_bearer_token_does_where_one_is_configured(post: Post) -> None:
    json_ = {"Content-Type": "application/json"}
    assert await send(post, {**json_, "Authorization": f"Bearer {HUSH}"}) == 204
    assert await send(post, {**json_, "Authorization": "Bearer hus"}) == 401
    assert await send(post, json_) == 401


async def test_a_secret_that_is_replaced_while_running_counts_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(KEYS[0])
    async with listening(made(HttpSource, FakeClock(NOW), secrets=[{"file": str(secret)}])) as post:
        assert await send(post, signed()) == 204
        secret.write_text(KEYS[2] + "\n")
        assert await send(post, signed()) == 401
        assert await send(post, signed(key=KEYS[2])) == 204
        secret.unlink()
        assert await send(post, signed(key=KEYS[2])) == 503


@pytest.mark.parametrize(("value", "found"), [("whsec_???", "no base64"), ("whsec_AAAA", "3 bytes"), ("", "empty")])
async def test_a_secret_that_is_none_stops_the_start_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, value: str, found: str
) -> None:
    monkeypatch.setenv("NEW", value)
    with pytest.raises(ConfigError, match=found) as stopped:
        await made(HttpSource, secrets=[{"env": "NEW"}]).check()
    assert "sources.photos.secrets.0" in str(stopped.value)
    assert "???" not in str(stopped.value)


def test_it_never_stands_open() -> None:
    with pytest.raises(ValidationError, match="at least one of secrets"):
        HttpOptions(buckets=("photos",))


# ------------------------------------------------------------ what is said


async def test_one_bad_event_holds_nobody_up_and_another_bucket_is_nobodys(post: Post) -> None:
    events = [{"type": "created", "key": "good"}, {"type": "created", "key": "nul\0"}, {"type": "moved", "key": "x"}]
    body = json.dumps({"bucket": "s3://photos", "events": events}).encode()
    assert await send(post, signed(body), body) == 204
    assert post.keys() == ["good"]
    assert [bad.reason for bad in post.bad] == ["invalid_key", "malformed"]
    before = counted("photos", "unrouted")
    other = json.dumps({"bucket": "s3://other", "events": [{"type": "created", "key": "x"}]}).encode()
    assert await send(post, signed(other), other) == 204
    assert (post.keys(), counted("photos", "unrouted")) == (["good"], before + 1)


async def test_a_body_that_can_never_be_valid_is_400(post: Post) -> None:
    for body in (b"", b"[]", b"nonsense", b'{"bucket": "photos"}'):
        assert await send(post, signed(body), body) == 400


# ------------------------------------------------------------ OpenAPI


async def test_openapi_is_valid_and_its_examples_are_taken_as_they_are(post: Post) -> None:
    answer = await post.ask("GET", "/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    document = json.loads(answer.body)
    OpenAPIV31SpecValidator(document).validate()
    operation = document["paths"]["/events/{source}"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert set(content["examples"]) == set(EXAMPLES)
    for example in content["examples"].values():
        body = json.dumps(example["value"]).encode()
        assert await send(post, signed(body), body) == 204
    assert post.bad == []
    assert post.keys() == ["cats/1 été.jpg", "cats/2.jpg", "cats/1 été.jpg"]
    assert post.last("cats/1 été.jpg").gone
    assert {"204", "400", "401", "404", "413", "415", "503"} == set(operation["responses"])


async def test_openapi_says_of_a_body_what_the_parser_says(post: Post) -> None:
    schemas = json.loads((await post.ask("GET", "/openapi.json")).body)["components"]["schemas"]
    assert schemas["PlainEvents"]["required"] == ["bucket", "events"]
    event = schemas["PlainEvent"]
    assert set(event["required"]) == {"type", "key"}
    assert set(event["properties"]) == {"type", "key", "etag", "version_id", "size", "sequencer"}
    assert all("description" in said for said in event["properties"].values())
