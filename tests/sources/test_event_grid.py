"""The source `event-grid`, over HTTP, with the requests that Event Grid documents: there is no emulator of it."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from syncd.domain.errors import Conflict, Rejected, Retryable
from syncd.runtime.clock import SystemClock
from syncd.sources.event_grid import EventGridOptions, EventGridSource
from tests.event_grid import blob_event, cloud_event, validation_event
from tests.known_secrets import known
from tests.sources.pushing import Answer, Post, counted, listening, stores
from tests.sources.taking import Taker, running
from tests.sources.waiting import until

TOKEN = known("a-token-of-32-characters-or-more")
PATH = f"/events/photos?code={TOKEN}"
ORIGIN = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
CODE = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"


def source(**options: Any) -> EventGridSource:
    settings = {"buckets": ["photos"], "tokens": [{"env": "TEST_TOKEN"}, {"env": "TEST_OLD_TOKEN"}], **options}
    checked = EventGridOptions.model_validate(settings)
    return EventGridSource("photos", checked, stores=stores(photos="az://photos"), clock=SystemClock())


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", TOKEN)
    monkeypatch.setenv("TEST_OLD_TOKEN", "the-token-of-last-month")


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with listening(source()) as receiver:
        yield receiver


async def send(post: Post, content: object, path: str = PATH, kind: str = "application/json") -> Answer:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return await post.ask("POST", path, body, {"Content-Type": f"{kind}; charset=utf-8", "aeg-event-type": "x"})


# ---------------------------------------------------------------- handshakes


async def test_a_new_subscription_is_validated_by_returning_its_code(post: Post) -> None:
    answer = await send(post, [validation_event(CODE)])
    assert answer.status == 200  # 202 would not count
    assert answer.headers["Content-Type"] == "application/json"
    assert orjson.loads(answer.body) == {"validationResponse": CODE}
    assert not post.deliveries


async def test_a_sender_of_cloud_events_is_told_that_it_may(post: Post) -> None:
    answer = await post.ask("OPTIONS", PATH, headers={**ORIGIN, "WebHook-Request-Callback": "http://127.0.0.1:9/x"})
    assert answer.status == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"


@pytest.mark.parametrize("origin", ["evil.example.com", "eventgrid.azure.net.example.com", ""])
async def test_another_origin_is_not_told_that_it_may(post: Post, origin: str) -> None:
    answer = await post.ask("OPTIONS", PATH, headers={"WebHook-Request-Origin": origin})
    assert answer.status == 403
    assert "WebHook-Allowed-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/events/photos", "/events/photos?code=wrong", "/events/photos?other=" + TOKEN])
async def test_handshakes_without_the_token_are_401(post: Post, path: str) -> None:
    assert (await send(post, [validation_event()], path)).status == 401
    answer = await post.ask("OPTIONS", path, headers=ORIGIN)
    assert answer.status == 401
    assert "WebHook-Allowed-Origin" not in answer.headers


async def test_a_handshake_for_a_source_that_is_not_configured_is_404(post: Post) -> None:
    assert (await send(post, [validation_event()], f"/events/other?code={TOKEN}")).status == 404


async def test_only_the_storage_account_configured_may_subscribe() -> None:
    async with listening(source(account="pictures")) as post:
        assert (await send(post, [validation_event(account="pictures")])).status == 200
        for stranger in ("stranger", "notpictures", "x/pictures"):
            answer = await send(post, [validation_event(account=stranger)])
            assert (answer.status, CODE.encode() in answer.body) == (403, False), stranger


@pytest.mark.parametrize("code", ["", "<script>", "a" * 129, 'x"y'])
async def test_what_is_no_code_is_not_returned(post: Post, code: str) -> None:
    answer = await send(post, [validation_event(code)])
    assert answer.status == 403
    assert b"validationResponse" not in answer.body


# ---------------------------------------------------------------- events


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([blob_event("a.jpg"), blob_event("deep/ä b+c%20.jpg")], "application/json"),
        ([cloud_event("a.jpg"), cloud_event("deep/ä b+c%20.jpg")], "application/cloudevents-batch+json"),
    ],
)
async def test_both_schemas_are_delivered(post: Post, events: list[dict[str, Any]], kind: str) -> None:
    assert (await send(post, events, kind=kind)).status == 204
    assert post.keys() == ["a.jpg", "deep/ä b+c%20.jpg"]
    assert {ref.bucket for ref, _ in post.seen} == {"az://photos"}


async def test_a_single_cloud_event_is_delivered(post: Post) -> None:
    gone = cloud_event("a.jpg", kind="BlobDeleted")
    assert (await send(post, gone, kind="application/cloudevents+json")).status == 204
    assert post.last("a.jpg").gone


async def test_events_of_other_containers_are_2xx_and_cost_the_others_nothing(post: Post) -> None:
    before = counted("photos", "unrouted")
    assert (await send(post, [blob_event("x.jpg", container="others"), blob_event("a.jpg")])).status == 204
    assert post.keys() == ["a.jpg"]
    assert counted("photos", "unrouted") == before + 1


async def test_events_of_another_storage_account_are_2xx_and_ignored() -> None:
    async with listening(source(account="pictures")) as post:
        assert (await send(post, [blob_event("x.jpg", account="stranger"), blob_event("a.jpg")])).status == 204
    assert post.keys() == ["a.jpg"]


async def test_one_bad_event_costs_the_others_nothing(post: Post) -> None:
    events = [blob_event("nul%00.jpg", encoded=True), blob_event("a.jpg")]
    assert (await send(post, events)).status == 204
    assert post.keys() == ["a.jpg"]
    assert [bad.reason for bad in post.bad] == ["invalid_key"]


@pytest.mark.parametrize("body", [b"", b"{", b"7", b'[{"eventType": 7}]', b"\xff", b"[" * 100_000])
async def test_a_body_that_can_never_become_valid_is_400(post: Post, body: bytes) -> None:
    assert (await send(post, body)).status == 400
    assert not post.deliveries


async def test_a_renamed_directory_asks_for_a_look_at_everything() -> None:
    taker, grid = Taker(), source()
    async with listening(grid) as post, running(grid, taker):
        await until("it listens", lambda: taker.rescans == 1)
        assert (await send(post, [blob_event("folder", kind="DirectoryRenamed")])).status == 204
        assert taker.rescans == 2


# ---------------------------------------------------------------- secrets, and our own trouble


@pytest.mark.parametrize("token", [TOKEN, "the-token-of-last-month"])
async def test_two_tokens_open_it_while_one_replaces_the_other(post: Post, token: str) -> None:
    assert (await send(post, [blob_event("a.jpg")], f"/events/photos?code={token}")).status == 204


@pytest.mark.parametrize(
    "path", ["/events/photos", "/events/photos?code=", "/events/photos?code=wrong", f"/events/photos?Code={TOKEN}x"]
)
async def test_a_missing_or_wrong_token_is_401_and_nothing_is_stored(post: Post, path: str) -> None:
    assert (await send(post, [blob_event("a.jpg")], path)).status == 401
    assert not post.deliveries


async def test_the_token_may_be_in_a_header() -> None:
    async with listening(source(token_in="header:X-Syncd-Token")) as post:
        body, kind = orjson.dumps([blob_event("a.jpg")]), ("Content-Type", "application/json")
        shown = ("X-Syncd-Token", TOKEN)
        assert (await post.ask("POST", "/events/photos", body, [kind, shown])).status == 204
        assert (await post.ask("POST", "/events/photos", body, [kind])).status == 401
        assert (await post.ask("POST", "/events/photos", body, [kind, ("X-Syncd-Token", "wrong")])).status == 401
        assert (await post.ask("POST", "/events/photos", body, [kind, shown, shown])).status == 401
        assert (await post.ask("POST", PATH, body, [kind])).status == 401  # in the query it does not count here


@pytest.mark.parametrize("error", [Retryable("busy"), Conflict("moved"), Rejected("refused")])
async def test_our_own_trouble_is_503_for_a_4xx_would_lose_the_events(post: Post, error: Any) -> None:
    post.error = error
    answer = await send(post, [blob_event("a.jpg")])
    assert answer.status == 503
    assert answer.headers["Retry-After"]


async def test_a_token_that_cannot_be_read_at_the_moment_is_503(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_TOKEN")
    assert (await send(post, [blob_event("a.jpg")])).status == 503


@pytest.mark.parametrize(
    "options",
    [
        {"tokens": []},
        {"token_in": "code"},
        {"token_in": "header:X Token"},
        {"token_in": "query:a=b"},
        {"account": "Not An Account"},
        {"buckets": []},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EventGridOptions.model_validate({"buckets": ["photos"], "tokens": [{"env": "TEST_TOKEN"}], **options})
