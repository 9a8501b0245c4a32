"""Traces: from an event to its task, from a webhook to its version, across the state; none where they are off."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from syncd.domain.errors import Retryable
from syncd.domain.model import Kind, Mark, Subject
from syncd.ports import Backlog
from syncd.runtime.observed import observed_state
from syncd.runtime.opentelemetry import OpenTelemetry
from syncd.runtime.telemetry import configure_logging
from syncd.runtime.tracing import tracer, use
from syncd.service.watching import watched as request_watched
from syncd.state import MemoryState, open_state
from tests.clock import FakeClock
from tests.flows.world import CAT, World
from tests.runtime.watched import watched

SENDERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traces:
    """The spans that ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def names(self) -> set[str]:
        return {span.name for span in self._exporter.get_finished_spans()}


@pytest.fixture
def traces() -> Iterator[Traces]:
    exporter = InMemorySpanExporter()
    with use(OpenTelemetry(SimpleSpanProcessor(exporter))):
        yield Traces(exporter)


@pytest.fixture
def world() -> World:
    return watched(World())


def trace_of(span: ReadableSpan) -> int:
    return int(span.context.trace_id)


def linked(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}


async def put(world: World, *keys: str) -> None:
    """Each object's event is a request of its own."""
    for key in keys:
        with tracer().request("POST", "events", None):
            await world.put(key)


# ------------------------------------------------------------ one trace


async def test_an_event_and_the_work_on_its_task_are_one_trace(traces: Traces, world: World) -> None:
    await put(world, "a.jpg")
    await world.work()
    event, work = traces.one("POST events"), traces.one("work on object")
    assert trace_of(work) == trace_of(event)
    assert work.parent
    assert work.parent.span_id == event.context.span_id
    imported = traces.one("annotator import_tasks")
    assert imported.parent
    assert imported.parent.span_id == work.context.span_id
    assert dict(work.attributes or {}) == {
        "syncd.kind": "object", "syncd.dataset": "photos", "syncd.subjects": 1, "syncd.done": 1,
    }  # fmt: skip


async def test_ten_events_of_one_object_are_one_work_linked_with_all_of_them(traces: Traces, world: World) -> None:
    await put(world, *["a.jpg"] * 10)
    await world.work()
    first, *others = traces.named("POST events")
    work = traces.one("work on object")
    assert trace_of(work) == trace_of(first)
    assert linked(work) == {span.context.span_id for span in others}


async def test_of_many_objects_in_one_batch_each_event_has_its_work_in_its_own_trace(
    traces: Traces, world: World
) -> None:
    await put(world, "a.jpg", "b.jpg", "c.jpg")
    await world.work()
    events = traces.named("POST events")
    works = {trace_of(span): span for span in traces.named("work on object")}
    assert works.keys() == {trace_of(event) for event in events}
    batch = works.pop(trace_of(events[0]))
    for work in works.values():
        assert batch.context.span_id in linked(work)
        assert work.attributes
        assert work.attributes["syncd.done"] == 1
    assert len(traces.named("annotator import_tasks")) == 1


async def test_a_webhook_and_the_version_that_holds_its_annotation_are_one_trace(traces: Traces, world: World) -> None:
    await world.put("a.jpg")
    await world.work()
    world.person.submit(world.task("a.jpg"), CAT)
    with tracer().request("POST", "webhook", SENDERS):
        await world.webhook(world.task("a.jpg"))
    await world.work(seconds=61)
    ours = {name for name in traces.names() if any(trace_of(s) == int(SENDERS[3:35], 16) for s in traces.named(name))}
    assert ours >= {"POST webhook", "work on task", "annotator contents", "work on dataset", "snapshots commit"}


async def test_a_try_that_failed_and_the_next_one_are_in_the_events_trace(traces: Traces, world: World) -> None:
    await world.open()
    world.faulty.faults = ["before"]
    await put(world, "a.jpg")
    await world.work(seconds=60)
    failed, done = traces.named("work on object")
    assert trace_of(failed) == trace_of(done) == trace_of(traces.one("POST events"))
    assert failed.attributes
    assert failed.attributes["syncd.causes"] == ("annotator_retryable",)
    assert (failed.status.is_ok, done.status.is_ok) == (False, True)


async def test_a_trace_outlives_the_process_that_began_it(traces: Traces, tmp_path: Path) -> None:
    clock, subject = FakeClock(), Subject(Kind.TASK, "d", "1")
    state = observed_state(await open_state(tmp_path / "state.db", clock), clock)
    with tracer().request("POST", "webhook", SENDERS):
        await state.mark([Mark(subject)])
    await state.close()
    again = await open_state(tmp_path / "state.db", clock)
    (claim,) = await again.claim(limit=9, lease=60)
    await again.close()
    assert [trace[:35] for trace in claim.traces] == [SENDERS[:35]]


# ------------------------------------------------------------ what is recorded, and what not


async def test_an_error_of_ours_is_told_and_of_a_bug_only_its_type(traces: Traces) -> None:
    class Leaky(MemoryState):
        async def backlog(self) -> list[Backlog]:
            raise ValueError("token=hunter2")

        async def put(self, name: str, value: str) -> None:
            raise Retryable("the disk is full")

    state = observed_state(Leaky(FakeClock()), FakeClock())
    with tracer().span("look", {}):
        with pytest.raises(ValueError, match="hunter2"):
            await state.backlog()
        with pytest.raises(Retryable):
            await state.put("a", "b")
    bug, trouble = traces.one("state backlog"), traces.one("state put")
    assert "hunter2" not in bug.to_json()
    assert bug.attributes
    assert bug.attributes["error.type"] == "ValueError"
    assert trouble.status.description == "the disk is full"


async def test_the_state_is_no_trace_of_its_own_while_nobody_works(traces: Traces) -> None:
    state = observed_state(MemoryState(FakeClock()), FakeClock())
    await state.claim(limit=9, lease=60)
    await state.backlog()
    assert traces.names() == set()


@pytest.mark.parametrize("shown", [SENDERS, "", "00-zz-yy-01", "x" * 10_000, SENDERS.upper()])
async def test_a_senders_traceparent_is_taken_if_it_is_one_and_else_passed_over(traces: Traces, shown: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/webhooks/x", partial(request_watched, "webhook", answer))
    async with TestClient(TestServer(app, skip_url_asserts=True)) as client:
        headers = {"traceparent": shown} if len(shown) < 8_000 else {"traceparent": shown[:8_000]}
        assert (await client.post("/webhooks/x", headers=headers)).status == 204
    span = traces.one("POST webhook")
    assert (trace_of(span) == int(SENDERS[3:35], 16)) is (shown == SENDERS)
    assert span.attributes
    assert span.attributes["http.response.status_code"] == 204


async def test_a_method_that_nobody_knows_is_no_name_of_a_span(traces: Traces) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=405)

    app = web.Application()
    app.router.add_route("*", "/events/x", partial(request_watched, "events", answer))
    async with TestClient(TestServer(app)) as client:
        assert (await client.request("MADEUP", "/events/x")).status in {400, 405}
        assert (await client.request("PURGE", "/events/x")).status == 405
    assert traces.names() <= {"_OTHER events", "PURGE events"}


async def test_a_line_of_the_log_says_which_trace_it_belongs_to(traces: Traces) -> None:
    with redirect_stderr(io.StringIO()) as written:
        configure_logging("info", "json")
        structlog.get_logger().info("before.all")
        with tracer().request("POST", "events", SENDERS):
            structlog.get_logger().info("task.created")
    structlog.reset_defaults()
    before, inside = map(json.loads, written.getvalue().splitlines())
    assert "trace_id" not in before
    assert (inside["trace_id"], len(inside["span_id"])) == (SENDERS[3:35], 16)


# ------------------------------------------------------------ off


async def test_without_a_collector_marks_carry_no_trace(world: World) -> None:
    await put(world, "a.jpg")
    (claim,) = await world.state.claim(limit=9, lease=60)
    assert claim.traces == ()


def test_without_a_collector_the_library_is_not_even_loaded() -> None:
    code = "import sys, syncd.service.daemon; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
