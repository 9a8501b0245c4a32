"""Who may push: the tokens of every source that has some, shown rightly, wrongly, twice, or not at all."""

import base64
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from syncd.domain.errors import ConfigError, Retryable
from syncd.secrets import SecretRef
from syncd.sources.ceph import CephSource
from syncd.sources.cloudevents import CloudEventsSource
from syncd.sources.eventbridge import EventBridgeSource
from syncd.sources.minio import MinioSource
from syncd.sources.pushed import Tokens
from syncd.sources.seaweedfs import SeaweedFSSource
from tests.known_secrets import known
from tests.sources.amazon import records
from tests.sources.pushing import listening, made

TOKEN = known("s3cret-token-of-32-characters-xx")
PLAIN = json.dumps({"specversion": "1.0", "type": "x", "source": "y", "id": "1"}).encode()
WEED = json.dumps(
    {"event_type": "create", "key": "/buckets/photos/a", "message": {"new_entry": {"name": "a"}}}
).encode()
BRIDGE = json.dumps({"version": "0", "source": "aws.ec2", "detail-type": "x", "detail": {}}).encode()

Shown = Callable[[str], dict[str, str]]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"user:{token}".encode()).decode()}


def of_syncd(token: str) -> dict[str, str]:
    return {"X-Syncd-Secret": token}


SENDERS: dict[str, tuple[type[Any], Shown, bytes, str]] = {
    "minio": (MinioSource, bearer, records("a").encode(), "application/json"),
    "seaweedfs": (SeaweedFSSource, bearer, WEED, "application/json"),
    "cloudevents": (CloudEventsSource, bearer, PLAIN, "application/cloudevents+json"),
    "eventbridge": (EventBridgeSource, of_syncd, BRIDGE, "application/json; charset=utf-8"),
    "ceph": (CephSource, basic, records("a").encode(), "application/json"),
}


@pytest.fixture(params=list(SENDERS))
def sender(request: pytest.FixtureRequest) -> tuple[type[Any], Shown, bytes, str]:
    return SENDERS[request.param]


@pytest.fixture
def two(tmp_path: Path) -> dict[str, Any]:
    """Two tokens, the second one about to be replaced."""
    (tmp_path / "new").write_text(TOKEN + "\n")
    (tmp_path / "old").write_text("older-" + TOKEN)
    return {"tokens": [{"file": str(tmp_path / name)} for name in ("new", "old")]}


async def test_each_of_two_tokens_opens_and_nothing_else_does(
    sender: tuple[type[Any], Shown, bytes, str], two: dict[str, Any]
) -> None:
    kind, shown, body, content_type = sender
    wrong = ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), f"{TOKEN}, {TOKEN}", "ü" * 9, "x" * 5000]
    async with listening(made(kind, **two)) as post:
        for token in (TOKEN, "older-" + TOKEN):
            answer = await post.ask("POST", "/events/photos", body, {**shown(token), "Content-Type": content_type})
            assert answer.status == 204
        post.counted.clear()
        for token in wrong:
            answer = await post.ask("POST", "/events/photos", body, {**shown(token), "Content-Type": content_type})
            assert (token, answer.status) == (token, 401)
            assert TOKEN.encode() not in answer.body
        assert (await post.ask("POST", "/events/photos", body, {"Content-Type": content_type})).status == 401
        in_query = f"/events/photos?token={TOKEN}&access_token={TOKEN}"
        assert (await post.ask("POST", in_query, body, {"Content-Type": content_type})).status == 401
        assert set(post.counted) == {("events", 401)}


async def test_a_header_that_is_too_long_is_refused_and_not_logged(
    two: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(made(MinioSource, **two)) as post:
        assert (await post.ask("POST", "/events/photos", b"", bearer("nearly-right" * 1000))).status in {400, 431}
    assert "nearly" not in caplog.text


async def test_two_headers_do_not_open_even_where_both_are_right(
    sender: tuple[type[Any], Shown, bytes, str], two: dict[str, Any]
) -> None:
    kind, shown, body, content_type = sender
    async with listening(made(kind, **two)) as post:
        headers = [*shown(TOKEN).items(), *shown(TOKEN).items(), ("Content-Type", content_type)]
        assert (await post.ask("POST", "/events/photos", body, headers)).status == 401


async def test_a_token_is_replaced_while_it_runs_and_a_missing_one_is_our_own_trouble(
    sender: tuple[type[Any], Shown, bytes, str], two: dict[str, Any]
) -> None:
    kind, shown, body, content_type = sender
    new, old = (Path(ref["file"]) for ref in two["tokens"])

    async def status(token: str) -> int:
        return (await post.ask("POST", "/events/photos", body, {**shown(token), "Content-Type": content_type})).status

    with capture_logs() as logs:
        async with listening(made(kind, **two)) as post:
            old.write_text(TOKEN)
            new.write_text("newest")
            assert [await status(token) for token in ("newest", TOKEN, "older-" + TOKEN)] == [204, 204, 401]
            old.unlink()
            assert [await status(token) for token in ("newest", TOKEN)] == [204, 503]
    assert TOKEN not in str(logs)
    assert "newest" not in str(logs)


async def test_a_token_that_is_missing_or_cannot_be_shown_stops_the_start(
    sender: tuple[type[Any], Shown, bytes, str], two: dict[str, Any]
) -> None:
    source = made(sender[0], **two)
    await source.check()
    _, second = (Path(ref["file"]) for ref in two["tokens"])
    second.write_text("two\nlines")
    with pytest.raises(ConfigError, match=r"sources\.photos\.tokens\.1: a token of printable ASCII") as stopped:
        await source.check()
    assert "lines" not in str(stopped.value)
    second.unlink()
    with pytest.raises(ConfigError, match=r"sources\.photos\.tokens\.1"):
        await source.check()


async def test_minio_shows_a_token_of_two_words_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", f"Key {TOKEN}")
    async with listening(made(MinioSource, tokens=[{"env": "TOKEN"}])) as post:
        for shown, status in ((f"Key {TOKEN}", 204), (f"Bearer {TOKEN}", 401), (TOKEN, 401)):
            headers = {"Authorization": shown, "Content-Type": "application/json"}
            assert (await post.ask("POST", "/events/photos", records("a").encode(), headers)).status == status


async def test_eventbridge_shows_it_in_the_header_that_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    async with listening(made(EventBridgeSource, tokens=[{"env": "TOKEN"}], header="X-Api-Key")) as post:
        for name, status in (("x-api-key", 204), ("X-Syncd-Secret", 401)):
            answer = await post.ask("POST", "/events/photos", BRIDGE, {name: TOKEN, "Content-Type": "application/json"})
            assert answer.status == status


def test_how_much_of_a_token_is_right_does_not_show_in_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault sheet, row 16: the medians over 10,000 tries, taken in turns, differ by less than their own spread."""
    monkeypatch.setenv("TOKEN", TOKEN)
    tokens = Tokens([SecretRef(env="TOKEN")], "sources.photos.tokens")
    times: dict[str, list[int]] = {"x" * len(TOKEN): [], TOKEN[:-1] + "x".replace(TOKEN[-1], "y"): []}
    for _ in range(10_000):
        for shown, taken in times.items():
            start = time.perf_counter_ns()
            assert not tokens.opened_by([shown])
            taken.append(time.perf_counter_ns() - start)
    none, nearly = times.values()
    low, _, high = statistics.quantiles(none, n=4)
    assert abs(statistics.median(none) - statistics.median(nearly)) <= max(high - low, 200)


def test_what_cannot_be_decided_now_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    tokens = Tokens([SecretRef(env="TOKEN"), SecretRef(env="NO_SUCH")], "sources.photos.tokens")
    assert tokens.opened_by([TOKEN])
    with pytest.raises(Retryable):
        tokens.opened_by(["another"])
