"""Traces of the real daemon, sent to a collector that takes OTLP over HTTP as any does."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.acceptance.site import Site, choice, until
from tests.known_secrets import HUSH


class Collector:
    """What came, decoded: the names of the spans of each trace, their services, and what the senders showed."""

    def __init__(self) -> None:
        self.traces: dict[str, set[str]] = defaultdict(set)
        self.services: set[str] = set()
        self.shown: set[str] = set()
        self.bodies = b""

    def take(self, shown: str, body: bytes) -> None:
        self.shown.add(shown)
        self.bodies += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                self.traces[span.trace_id.hex()].add(span.name)

    def with_all(self, *names: str) -> list[str]:
        """The traces that hold spans of all these names."""
        return [trace for trace, spans in list(self.traces.items()) if spans >= set(names)]

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Its base URL."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
                collector.take(self.headers["Authorization"], body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def test_an_object_and_its_task_are_one_trace_and_so_are_an_answer_and_its_version(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "labels")
    collector = Collector()
    (site.home / "collector").write_text(HUSH)
    (site.home / "collector").chmod(0o600)
    with collector.listening() as url:
        headers = f'{{ authorization = {{ file = "{site.home}/collector" }} }}'
        site.configure(extra=f'[telemetry]\notlp_endpoint = "{url}"\notlp_headers = {headers}')
        daemon = site.start()
        until("webhook", lambda: "webhook.registered" in site.log())
        site.drop(["a.jpg"])
        (task,) = site.settled_tasks(1)
        site.person.submit(task["id"], choice("cat"))
        until("the row", lambda: len(site.rows()) == 1)
        (made,) = until(
            "one trace from the object to its task",
            lambda: collector.with_all("take events", "work on object", "annotator import_tasks", "state fulfil"),
        )
        until(
            "one trace from the webhook to the version",
            lambda: collector.with_all("POST webhook", "work on task", "work on dataset", "snapshots commit"),
        )
        assert site.stop(daemon) == 0
    lines = [json.loads(line) for line in site.log().splitlines() if line.startswith("{")]
    assert [line["trace_id"] for line in lines if line["event"] == "task.created"] == [made]
    assert collector.services == {"labels"}
    assert collector.shown == {HUSH}
    assert HUSH not in site.log()
    assert HUSH.encode() not in collector.bodies
    assert site.studio.token.encode() not in collector.bodies
