"""`/events/NAME` of the receiver: what it answers whom, whatever is sent, before any sender's own rules count."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncd.domain.errors import Conflict, Rejected, Retryable
from syncd.sources.minio import MinioSource
from syncd.sources.seaweedfs import SeaweedFSSource
from tests.known_secrets import HUSH
from tests.sources.amazon import records
from tests.sources.pushing import Post, counted, listening, made

GOOD = {"Authorization": f"Bearer {HUSH}", "Content-Type": "application/json"}
BODY = records("in/a+b.jpg").encode()
PATH = "/events/photos"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", HUSH)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    minio = made(MinioSource, tokens=[{"env": "TOKEN"}])
    weed = made(SeaweedFSSource, tokens=[{"env": "TOKEN"}], name="weed")
    async with listening(minio, weed) as listens:
        yield listens


async def test_a_good_event_is_durable_before_it_is_answered_and_counted_by_its_route(post: Post) -> None:
    answer = await post.ask("POST", PATH, BODY, GOOD)
    assert (answer.status, answer.body) == (204, b"")
    assert post.keys() == ["in/a b.jpg"]
    assert post.counted == [("events", 204)]


async def test_head_says_that_somebody_listens(post: Post) -> None:
    assert (await post.ask("HEAD", PATH)).status == 200
    assert (await post.ask("HEAD", "/events/nobody")).status == 404
    assert post.deliveries == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_405_and_told_which_ones_do(post: Post, method: str) -> None:
    answer = await post.ask(method, PATH, b"", GOOD)
    assert answer.status == 405
    assert sorted(answer.headers["Allow"].replace(" ", "").split(",")) == ["HEAD", "POST"]


@pytest.mark.parametrize(
    "path", ["/events", "/events/", "/events//photos", "/events/photos/", "/events/photos/x", "/events/other", "/event"]
)
async def test_a_path_that_is_not_exactly_a_sources_is_404_and_not_echoed(post: Post, path: str) -> None:
    answer = await post.ask("POST", path, BODY, GOOD)
    assert answer.status == 404
    assert b"events" not in answer.body
    assert post.deliveries == 0


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "multipart/form-data", "text/json"])
async def test_another_content_type_is_415(post: Post, kind: str) -> None:
    assert (await post.ask("POST", PATH, BODY, {**GOOD, "Content-Type": kind})).status == 415
    assert post.deliveries == 0


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;x=y"])
async def test_json_with_parameters_is_json(post: Post, kind: str) -> None:
    assert (await post.ask("POST", PATH, BODY, {**GOOD, "Content-Type": kind})).status == 204


# ------------------------------------------------------------ bodies


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
async def test_a_compressed_body_is_read(post: Post, encoding: str) -> None:
    packed = {"gzip": gzip.compress(BODY), "deflate": zlib.compress(BODY), "identity": BODY}[encoding]
    assert (await post.ask("POST", PATH, packed, {**GOOD, "Content-Encoding": encoding})).status == 204
    assert post.keys() == ["in/a b.jpg"]


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_body_that_grows_over_the_limit_is_413(post: Post, pack: Any) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    bomb = pack(b" " * 50_000_000)
    assert len(bomb) < 100_000
    assert (await post.ask("POST", PATH, bomb, {**GOOD, "Content-Encoding": encoding})).status == 413
    assert (await post.ask("POST", PATH, b" " * 1_000_001, GOOD)).status == 413
    assert post.deliveries == 0


@pytest.mark.parametrize("encodings", [["gzip, gzip"], ["gzip", "gzip"], ["compress"], ["x-unknown"]])
async def test_what_is_packed_twice_or_in_an_unknown_way_is_415(post: Post, encodings: list[str]) -> None:
    headers = [*GOOD.items(), *(("Content-Encoding", encoding) for encoding in encodings)]
    body = gzip.compress(gzip.compress(BODY))
    assert (await post.ask("POST", PATH, body, headers)).status == 415


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(BODY)[:-9], b"".join([gzip.compress(b" ")] * 20_000)])
async def test_a_broken_or_endless_gzip_is_the_senders_fault(post: Post, body: bytes) -> None:
    answer = await post.ask("POST", PATH, body, {**GOOD, "Content-Encoding": "gzip"})
    assert answer.status in {400, 413}
    assert post.deliveries == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'{"Records": [}',
        b"[" * 100_000,
        b'{"Records": NaN}',
        b"\xff\xfe{}",
        b'\xef\xbb\xbf{"Records": []}',
        b'{"Records": {}}',
        b'{"Records": "all"}',
        b'{"other": 1}',
        b'{"Records": [{"s3": "\\ud800"}]}',
    ],
)
async def test_a_body_that_can_never_be_valid_is_400_and_not_echoed(post: Post, body: bytes) -> None:
    answer = await post.ask("POST", PATH, body, GOOD)
    assert answer.status == 400
    assert body[:8] not in answer.body or not body
    assert post.deliveries == 0


@pytest.mark.parametrize("body", [b'{"Records": []}', b'{"Records": null}', b'{"Event": "s3:TestEvent"}'])
async def test_a_body_without_events_is_taken_and_delivers_nothing(post: Post, body: bytes) -> None:
    assert (await post.ask("POST", PATH, body, GOOD)).status == 204
    assert post.deliveries == 0


# ------------------------------------------------------------ batches, buckets, our own trouble


async def test_of_thousands_of_records_the_good_ones_are_delivered_and_the_bad_ones_kept(post: Post) -> None:
    body = json.loads(records(*(f"k{n}" for n in range(3_000))))
    body["Records"][7]["s3"]["object"]["key"] = "nul%00"
    body["Records"][8]["s3"]["object"]["key"] = "%ff"
    body["Records"][9]["eventVersion"] = "3.0"
    body["Records"][10]["s3"]["object"]["size"] = -1
    body["Records"][11] = "no record"
    body["Records"][12]["eventName"] = "s3:Unheard:Of"
    assert (await post.ask("POST", PATH, json.dumps(body).encode(), GOOD)).status == 204
    assert len(post.seen) == 3_000 - 6
    assert [bad.reason for bad in post.bad] == [
        "invalid_key",
        "invalid_key",
        "unsupported_version",
        "malformed",
        "malformed",
    ]
    assert post.deliveries == 3, "in batches, so that others get their turn at the state"


async def test_events_of_a_bucket_the_source_does_not_list_are_dropped_and_counted(post: Post) -> None:
    before = counted("photos", "unrouted")
    mixed = json.loads(BODY)
    mixed["Records"] += json.loads(records("x", "y", bucket="other"))["Records"]
    assert (await post.ask("POST", PATH, json.dumps(mixed).encode(), GOOD)).status == 204
    assert post.keys() == ["in/a b.jpg"]
    assert counted("photos", "unrouted") == before + 2


@pytest.mark.parametrize("error", [Retryable("disk full"), Conflict("moved"), Rejected("a surprise")])
async def test_what_we_cannot_store_is_503_with_a_time_to_come_back(post: Post, error: Any) -> None:
    post.error = error
    before = counted("photos", "seen")
    answer = await post.ask("POST", PATH, BODY, GOOD)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert str(error).encode() not in answer.body
    post.error = None
    assert (await post.ask("POST", PATH, BODY, GOOD)).status == 204
    assert counted("photos", "seen") == before + 1
