"""Reaching a Label Studio: both tokens, and every way in which it does not work."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import ValidationError

from syncd.annotators.label_studio import LabelStudioOptions, client
from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.ports import DatasetSpec
from syncd.secrets import SecretRef
from tests.annotators.conftest import Connections, tasks
from tests.annotators.proxy import Proxy, answering, delaying, keeping_answer, losing_answer, proxying, truncating
from tests.known_secrets import HUSH
from tests.label_studio import LabelStudioServer, free_port

Spec = Callable[..., DatasetSpec]


@pytest.fixture
async def proxy(label_studio: LabelStudioServer) -> AsyncIterator[Proxy]:
    async with proxying(label_studio.url) as running:
        yield running


@pytest.mark.parametrize("kind", ["token", "pat"])
async def test_both_kinds_of_token_work(connect: Connections, label_studio: LabelStudioServer, kind: str) -> None:
    info = await connect(label_studio.url, getattr(label_studio, kind)).ping()
    assert info.url == label_studio.url
    assert info.user == label_studio.username
    assert info.version.startswith("1.")


async def test_a_base_url_with_a_slash_at_its_end_works(connect: Connections, label_studio: LabelStudioServer) -> None:
    assert (await connect(f"{label_studio.url}/", label_studio.pat).ping()).url == label_studio.url


async def test_an_access_token_is_used_for_240_seconds(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer
) -> None:
    annotator = connect(proxy.url, label_studio.pat)
    await annotator.ping()
    connect.clock.advance(239)
    await annotator.ping()
    assert proxy.count("/api/token/refresh") == 1
    connect.clock.advance(1)
    await annotator.ping()
    assert proxy.count("/api/token/refresh") == 2


async def test_a_401_is_answered_by_one_refresh(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer
) -> None:
    annotator = connect(proxy.url, label_studio.pat)
    await annotator.ping()
    proxy.faults.append(("GET /api/current-user/whoami", answering(401, "{}")))
    await annotator.ping()
    assert proxy.count("/api/token/refresh") == 2
    proxy.faults += [("GET /api/current-user/whoami", answering(401, "{}"))] * 2
    with pytest.raises(ConfigError, match="token"):
        await annotator.ping()
    assert proxy.count("/api/token/refresh") == 3


async def test_a_request_body_survives_the_refresh(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    dataset = await connect(proxy.url, label_studio.pat).ensure_dataset(new_spec())
    proxy.faults.append(("/import", answering(401, "{}")))
    ids = await dataset.import_tasks("m1", tasks("a", "b"))
    assert await dataset.find_by_marker("m1") == {"a": ids[0], "b": ids[1]}


async def test_a_rotated_secret_is_read_without_a_restart(
    connect: Connections, label_studio: LabelStudioServer
) -> None:
    annotator = connect(label_studio.url, "0" * 40)
    with pytest.raises(ConfigError):
        await annotator.ping()
    connect.secret.write_text(label_studio.pat)
    assert await annotator.ping()


@pytest.mark.parametrize("token", ["f" * 40, "eyJh.eyJi.c2ln", "Ümläut"])
async def test_a_wrong_token_is_told_from_a_wrong_url(
    connect: Connections, label_studio: LabelStudioServer, token: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        await connect(label_studio.url, token).ping()
    assert [problem.field for problem in caught.value.problems] == ["token"]
    assert token not in str(caught.value)


async def test_a_disabled_legacy_token_is_told_with_the_way_out(
    connect: Connections, label_studio: LabelStudioServer
) -> None:
    with allowing_legacy_tokens(label_studio, allowed=False):
        with pytest.raises(ConfigError, match="personal access token") as caught:
            await connect(label_studio.url, label_studio.token).ping()
        assert "disabled" in str(caught.value)


@contextmanager
def allowing_legacy_tokens(server: LabelStudioServer, *, allowed: bool) -> Iterator[None]:
    access = httpx.post(f"{server.url}/api/token/refresh/", json={"refresh": server.pat}).json()["access"]

    def switch(value: bool) -> None:
        body, headers = {"legacy_api_tokens_enabled": value}, {"Authorization": f"Bearer {access}"}
        httpx.post(f"{server.url}/api/jwt/settings", json=body, headers=headers).raise_for_status()

    switch(allowed)
    try:
        yield
    finally:
        switch(not allowed)


@pytest.mark.parametrize(
    "fault",
    [answering(404, "nothing here"), answering(200, "<html>"), answering(200, '{"a": 1}'), answering(403, "no")],
)
async def test_a_url_where_no_label_studio_answers_sees_no_token(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, fault: object
) -> None:
    proxy.faults += [("", fault)] * 9  # type: ignore[list-item]
    with pytest.raises(ConfigError) as caught:
        await connect(proxy.url, label_studio.token).ping()
    assert [problem.field for problem in caught.value.problems] == ["url"]
    assert set(proxy.tokens) == {""}


@pytest.mark.parametrize("kind", ["token", "pat"])
@pytest.mark.parametrize("path", ["/api", "/projects"])
async def test_a_url_with_a_wrong_path_is_told_from_a_wrong_token(
    connect: Connections, label_studio: LabelStudioServer, path: str, kind: str
) -> None:
    with pytest.raises(ConfigError, match=path) as caught:
        await connect(label_studio.url + path, getattr(label_studio, kind)).ping()
    assert [problem.field for problem in caught.value.problems] == ["url"]


async def test_a_redirect_is_not_followed(connect: Connections, proxy: Proxy, label_studio: LabelStudioServer) -> None:
    proxy.faults.append(("", answering(302, Location=label_studio.url)))
    with pytest.raises(ConfigError, match="redirect"):
        await connect(proxy.url, label_studio.token).ping()
    assert len(proxy.seen) == 1


async def test_an_unreachable_server_is_worth_another_try_and_nothing_has_happened(connect: Connections) -> None:
    with pytest.raises(Retryable, match="connect") as caught:
        await connect(f"http://127.0.0.1:{free_port()}", "f" * 40).ping()
    assert not caught.value.effect_possible


async def test_a_missing_secret_is_a_config_error(connect: Connections, label_studio: LabelStudioServer) -> None:
    annotator = connect(label_studio.url, "x")
    connect.secret.unlink()
    with pytest.raises(ConfigError, match="token"):
        await annotator.ping()


@pytest.mark.parametrize("fault", [answering(500, "{}"), answering(502, "<html>"), truncating(), losing_answer()])
async def test_reads_are_repeated_within_seconds(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, fault: object, new_spec: Spec
) -> None:
    dataset = await connect(proxy.url, label_studio.pat).ensure_dataset(new_spec())
    ids = await dataset.import_tasks("m1", tasks("a"))
    proxy.faults += [("GET /api/tasks/", fault)] * 2  # type: ignore[list-item]
    before = proxy.count("GET /api/tasks/")
    assert await dataset.find_by_marker("m1") == {"a": ids[0]}
    assert proxy.count("GET /api/tasks/") - before == 3


@pytest.mark.parametrize(
    "fault",
    [
        answering(500, "{}"),
        answering(200, "<html>"),
        answering(201, '{"task_ids": [1]}'),
        truncating(),
        losing_answer(),
    ],
)
async def test_an_import_is_never_repeated_and_its_effect_is_open(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, fault: object, new_spec: Spec
) -> None:
    dataset = await connect(proxy.url, label_studio.pat).ensure_dataset(new_spec())
    proxy.faults.append(("/import", fault))  # type: ignore[arg-type]
    with pytest.raises(Retryable) as caught:
        await dataset.import_tasks("m1", tasks("a", "b"))
    assert caught.value.effect_possible
    assert proxy.count("/import") == 1


async def test_an_import_that_timed_out_is_found_by_its_marker(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    spec, committed = new_spec(), asyncio.Event()
    hasty = await connect(proxy.url, label_studio.pat, timeout=3).ensure_dataset(spec)
    proxy.faults.append(("/import", keeping_answer(committed)))
    with pytest.raises(Retryable, match="in time") as caught:
        await hasty.import_tasks("m1", tasks("a", "b"))
    assert caught.value.effect_possible
    assert committed.is_set()
    found = await hasty.find_by_marker("m1")
    assert list(found) == ["a", "b"]
    assert {content.task_id for content in await hasty.contents(list(found.values()))} == set(found.values())


async def test_only_requests_with_an_effect_may_take_as_long_as_an_import(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, new_spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = await connect(proxy.url, label_studio.pat, timeout=300).ensure_dataset(new_spec())
    monkeypatch.setattr(client, "READ_TIMEOUT", 0.3)
    proxy.faults.append(("/import", delaying(1)))
    assert await dataset.import_tasks("m1", tasks("a"))
    for path in ("GET /api/tasks/", "GET /api/projects/"):
        proxy.faults += [(path, keeping_answer(asyncio.Event()))] * 4
    async with asyncio.timeout(30):
        with pytest.raises(Retryable, match="in time"):
            await dataset.find_by_marker("m1")
        with pytest.raises(Retryable, match="in time"):
            await dataset.stats()


async def test_a_refreshing_of_the_token_that_hangs_is_given_up_as_soon(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT", 0.5)
    proxy.faults += [("/api/token/refresh", keeping_answer(asyncio.Event()))] * 4
    async with asyncio.timeout(30):
        with pytest.raises(Retryable, match="in time"):
            await connect(proxy.url, label_studio.pat, timeout=300).ping()
    assert proxy.count("/api/token/refresh")


async def test_a_403_is_about_the_token_and_no_task_is_given_up(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    dataset = await connect(proxy.url, label_studio.pat).ensure_dataset(new_spec())
    proxy.faults += [("/import", answering(403, '{"detail": "no"}')), ("GET /api/tasks/", answering(403, "<html>"))]
    with pytest.raises(ConfigError, match="may not do this: importing tasks") as caught:
        await dataset.import_tasks("m1", tasks("a"))
    assert [problem.field for problem in caught.value.problems] == ["token"]
    with pytest.raises(ConfigError, match="may not do this: listing tasks"):
        await dataset.contents(["1"])


WISHES = {"7": 7.0, "Fri, 20 Nov 2026 10:00:30 GMT": 30.0, "soon": None}


@pytest.mark.parametrize("wish", WISHES)
async def test_the_servers_wish_to_wait_is_passed_on(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, new_spec: Spec, wish: str
) -> None:
    dataset = await connect(proxy.url, label_studio.pat).ensure_dataset(new_spec())
    proxy.faults.append(("/import", answering(429, Retry_After=wish, Date="Fri, 20 Nov 2026 10:00:00 GMT")))
    with pytest.raises(Retryable) as caught:
        await dataset.import_tasks("m1", tasks("a"))
    assert caught.value.retry_after == WISHES[wish]
    assert not caught.value.effect_possible


async def test_a_wish_to_wait_is_not_overridden_by_our_own_tries(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    dataset = await connect(proxy.url, label_studio.pat).ensure_dataset(new_spec())
    proxy.faults.append(("GET /api/tasks/", answering(503, Retry_After="60")))
    with pytest.raises(Retryable) as caught:
        await dataset.contents(["1"])
    assert caught.value.retry_after == 60
    assert proxy.count("GET /api/tasks/") == 1


async def test_a_deleted_project_is_for_a_person_to_mend_and_no_task_of_it_is_given_up(
    connect: Connections, label_studio: LabelStudioServer, new_spec: Spec
) -> None:
    dataset = await connect(label_studio.url, label_studio.pat).ensure_dataset(new_spec())
    await dataset.delete()
    with pytest.raises(ConfigError, match="not in Label Studio any more"):
        await dataset.import_tasks("m1", tasks("a"))
    with pytest.raises(ConfigError, match="not in Label Studio any more"):
        await dataset.contents(["1"])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 418, 429, 500, 503])
async def test_no_message_holds_what_the_server_said_or_the_token(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer, status: int, new_spec: Spec
) -> None:
    dataset = await connect(proxy.url, label_studio.token).ensure_dataset(new_spec())
    said = json.dumps({"detail": HUSH, "validation_errors": {"x": [HUSH]}})
    proxy.faults += [("/import", answering(status, said, Set_Cookie=HUSH))] * 2
    with pytest.raises((Retryable, Rejected, ConfigError)) as caught:
        await dataset.import_tasks("m1", tasks("a"))
    assert HUSH not in f"{caught.value!r} {caught.value}"
    assert label_studio.token not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_requests_under_way_are_limited(
    connect: Connections, proxy: Proxy, label_studio: LabelStudioServer
) -> None:
    annotator = connect(proxy.url, label_studio.token, concurrency=2)
    reached, go, most, now = asyncio.Event(), asyncio.Event(), 0, 0

    async def slow(request: object, forward: object) -> object:
        nonlocal most, now
        now += 1
        most = max(most, now)
        if now == 2:
            reached.set()
        await go.wait()
        now -= 1
        return await forward()  # type: ignore[operator]

    proxy.faults += [("GET", slow)] * 4  # type: ignore[list-item]
    pings = asyncio.gather(*(annotator.ping() for _ in range(4)))
    await asyncio.wait_for(reached.wait(), 10)
    go.set()
    await pings
    assert most == 2


@pytest.mark.parametrize(
    "url", ["label-studio:8080", "ftp://host", "http://user:pw@host", "http://host?x=1", "http://"]
)
def test_a_url_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValidationError):
        LabelStudioOptions(url=url, token=SecretRef(env="TOKEN"))
