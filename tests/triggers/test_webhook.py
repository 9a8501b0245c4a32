"""The webhook over real HTTP, verified by the receivers' own libraries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from pydantic import ValidationError
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from syncd.domain.deliveries import Verdict
from syncd.domain.errors import ConfigError
from syncd.domain.model import JsonObject
from syncd.ports import Surroundings
from syncd.triggers.webhook import Webhook, WebhookOptions
from tests.known_secrets import known, signing_secret
from tests.triggers.receiver import Receiver, receiving

OLD = signing_secret("old")
NEW = signing_secret("new")
PASSWORD = known("Bearer very-secret-token")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOOK_SECRET", NEW)
    monkeypatch.setenv("HOOK_SECRET_OLD", OLD)
    monkeypatch.setenv("HOOK_AUTH", PASSWORD)
    return NEW


def webhook(url: str, surroundings: Surroundings, **options: Any) -> Webhook:
    chosen = {"secrets": [{"env": "HOOK_SECRET"}], "timeout": 5} | options
    return Webhook(WebhookOptions.model_validate({"url": url, **chosen}), surroundings)


@pytest.fixture
async def hook(receiver: Receiver, surroundings: Surroundings, secret: str) -> AsyncIterator[Webhook]:
    one = webhook(receiver.url, surroundings)
    yield one
    await one.close()


async def test_a_receiver_verifies_the_signature_and_reads_a_cloud_event(
    hook: Webhook, receiver: Receiver, event: JsonObject
) -> None:
    answer = await hook.deliver(event)
    assert (answer.verdict, answer.outcome) == (Verdict.DELIVERED, "204 No Content")
    body, headers = receiver.bodies[0], receiver.headers[0]
    assert Verifier(NEW).verify(body, headers) == event
    assert headers["webhook-id"] == event["id"]
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    read = from_http_event(HTTPMessage(headers=headers, body=body), JSONFormat())
    assert read.get_id() == event["id"]
    assert read.get_data() == event["data"]


async def test_one_changed_byte_is_noticed(hook: Webhook, receiver: Receiver, event: JsonObject) -> None:
    await hook.deliver(event)
    with pytest.raises(WebhookVerificationError):
        Verifier(NEW).verify(receiver.bodies[0].replace(b"v7", b"v8"), receiver.headers[0])


async def test_the_same_event_has_the_same_id_and_body_each_time(
    hook: Webhook, receiver: Receiver, event: JsonObject
) -> None:
    await hook.deliver(event)
    await hook.deliver(event)
    assert receiver.bodies[0] == receiver.bodies[1]
    assert receiver.headers[0]["webhook-id"] == receiver.headers[1]["webhook-id"]


async def test_while_a_secret_is_replaced_both_verify(
    receiver: Receiver, surroundings: Surroundings, secret: str, event: JsonObject
) -> None:
    hook = webhook(receiver.url, surroundings, secrets=[{"env": "HOOK_SECRET"}, {"env": "HOOK_SECRET_OLD"}])
    await hook.deliver(event)
    await hook.close()
    for key in (NEW, OLD):
        assert Verifier(key).verify(receiver.bodies[0], receiver.headers[0]) == event


async def test_a_replaced_secret_needs_no_restart(
    hook: Webhook, receiver: Receiver, event: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hook.deliver(event)
    monkeypatch.setenv("HOOK_SECRET", OLD)
    await hook.deliver(event)
    assert Verifier(OLD).verify(receiver.bodies[1], receiver.headers[1]) == event


async def test_more_headers_are_sent_and_do_not_come_back_in_the_log(
    receiver: Receiver, surroundings: Surroundings, secret: str, event: JsonObject
) -> None:
    hook = webhook(receiver.url, surroundings, headers={"Authorization": {"env": "HOOK_AUTH"}, "X-Team": "fruits"})
    receiver.answers = [(500, {}, f"you sent {PASSWORD} to {receiver.url}, or rather very-secret-token\n\x1b[1mü")]
    answer = await hook.deliver(event)
    await hook.close()
    assert receiver.headers[0]["Authorization"] == PASSWORD
    assert receiver.headers[0]["X-Team"] == "fruits"
    assert answer.excerpt == "you sent … to …, or rather … [1mü"


async def test_an_echo_of_the_signature_is_taken_out(hook: Webhook, receiver: Receiver, event: JsonObject) -> None:
    receiver.echoes = True
    answer = await hook.deliver(event)
    assert "webhook-signature=…" in answer.excerpt
    assert receiver.headers[0]["webhook-signature"] not in answer.excerpt


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (202, Verdict.DELIVERED),
        (299, Verdict.DELIVERED),
        (304, Verdict.FAILED),
        (400, Verdict.FAILED),
        (404, Verdict.FAILED),
        (410, Verdict.REFUSED),
        (429, Verdict.FAILED),
        (500, Verdict.FAILED),
        (599, Verdict.FAILED),
    ],
)
async def test_only_2xx_is_delivered_and_410_is_final(
    hook: Webhook, receiver: Receiver, event: JsonObject, status: int, verdict: Verdict
) -> None:
    receiver.answers = [(status, {}, "")]
    answer = await hook.deliver(event)
    assert answer.verdict is verdict
    assert answer.outcome.startswith(str(status))


async def test_a_redirect_is_not_followed(hook: Webhook, event: JsonObject, receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        receiver.answers = [(307, {"Location": elsewhere.url}, "")]
        answer = await hook.deliver(event)
        assert answer.verdict is Verdict.FAILED
        assert "redirects are not followed" in answer.outcome
        assert elsewhere.bodies == []


@pytest.mark.parametrize(
    ("header", "wish"),
    [
        ("120", (120, 120)),
        ("0", (0, 0)),
        ("99999999", (21600, 21600)),
        (900.0, (800, 901)),
        (-90.0, (0, 0)),
    ],
)
async def test_the_receivers_wish_to_wait_is_read(
    hook: Webhook, receiver: Receiver, event: JsonObject, header: str | float, wish: tuple[float, float]
) -> None:
    """A number is a date so many seconds from now."""
    text = header if isinstance(header, str) else formatdate(time() + header, usegmt=True)
    receiver.answers = [(503, {"Retry-After": text}, "")]
    answer = await hook.deliver(event)
    assert answer.retry_after is not None
    assert wish[0] <= answer.retry_after <= wish[1]


@pytest.mark.parametrize("header", ["soon", "-1", "", "1.5e400"])
async def test_a_wish_that_makes_no_sense_is_none(
    hook: Webhook, receiver: Receiver, event: JsonObject, header: str
) -> None:
    receiver.answers = [(429, {"Retry-After": header}, "")]
    assert (await hook.deliver(event)).retry_after is None


async def test_a_long_answer_is_cut(hook: Webhook, receiver: Receiver, event: JsonObject) -> None:
    receiver.answers = [(200, {}, "word " * 1_000_000)]
    answer = await hook.deliver(event)
    assert answer.verdict is Verdict.DELIVERED
    assert len(answer.excerpt) <= 300


@asynccontextmanager
async def _saying(answer: bytes, *, closing: bool) -> AsyncIterator[str]:
    """A server that says this to anything and then closes, or hangs until the other side does."""
    over = asyncio.Event()
    served = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if not closing:
            await over.wait()
        writer.close()
        await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    over.set()
    await served.wait()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("closing", [True, False])
@pytest.mark.parametrize(
    ("said", "verdict", "outcomes"),
    [
        (b"", Verdict.FAILED, ("no connection to 127.0.0.1: ServerDisconnectedError", "no answer within 0.3 s")),
        (b"nonsense\r\n\r\n", Verdict.FAILED, ("no connection to 127.0.0.1", "no connection to 127.0.0.1")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Verdict.DELIVERED, ("200 OK", "200 OK")),
    ],
)
async def test_servers_that_hang_lie_or_break_off(  # noqa: PLR0917
    surroundings: Surroundings,
    secret: str,
    event: JsonObject,
    said: bytes,
    verdict: Verdict,
    outcomes: tuple[str, str],
    closing: bool,
) -> None:
    async with _saying(said, closing=closing) as url:
        hook = webhook(url, surroundings, timeout=0.3)
        answer = await hook.deliver(event)
        await hook.close()
    assert answer.verdict is verdict
    assert answer.outcome.startswith(outcomes[0] if closing else outcomes[1])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/?token=in-the-url", "http://nowhere.invalid/?token=in-the-url"])
async def test_nobody_there_is_a_failure_that_names_the_host_and_no_secret(
    surroundings: Surroundings, secret: str, event: JsonObject, url: str
) -> None:
    hook = webhook(url, surroundings)
    answer = await hook.deliver(event)
    await hook.close()
    assert answer.verdict is Verdict.FAILED
    assert answer.outcome.startswith("no connection to ")
    assert "token" not in answer.outcome


@pytest.mark.parametrize(
    ("value", "found"),
    [("", "is empty or not set"), ("whsec_%%%", "no base64"), ("whsec_YWJj", "3 bytes"), ("abcde", "no base64")],
)
async def test_a_secret_that_is_none_is_named_before_anything_is_sent(
    receiver: Receiver, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, value: str, found: str
) -> None:
    monkeypatch.setenv("HOOK_SECRET", value)
    with pytest.raises(ConfigError, match=found) as caught:
        await webhook(receiver.url, surroundings).check()
    assert caught.value.problems[0].field == "datasets.fruits.triggers.retrain.secrets.0"
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "ftp://x"}, "http:// or https://"),
        ({"url": "https://me:pw@example.com/"}, "Authorization"),
        ({"secrets": []}, "at least 1 item"),
        ({"secrets": [{"env": "A", "file": "b"}]}, "exactly one place"),
        ({"headers": {"Webhook-Id": "x"}}, "set by syncd"),
        ({"on": ["versions"]}, "nothing to fire on"),
        ({"on": ["tag"], "min_changed_rows": 5}, "conditions hold back versions only"),
        ({"timeout": 0}, "greater than 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WebhookOptions.model_validate({"url": "https://x/", "secrets": [{"env": "A"}]} | options)


def test_neither_url_nor_headers_are_in_the_repr(tmp_path: Path) -> None:
    options = WebhookOptions.model_validate(
        {"url": "https://x/?token=abc", "secrets": [{"env": "A"}], "headers": {"X-Key": "open-secret"}}
    )
    assert "abc" not in repr(options)
    assert "open-secret" not in repr(options)
