"""Traces by OpenTelemetry, sent as OTLP over HTTP. The extra `otel`; loaded by `service` when it is configured.

The provider is ours and not the process's global one, so an embedding program keeps its own. The variables OTEL_* of
the SDK are honoured: sampler, limits, resource, batches. An error is recorded by its type, and by its message only
where that is one of ours, which hold no secret.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from syncd.domain.errors import SyncdError
from syncd.domain.model import Claim, Outcome, Settlement
from syncd.ports import Lane
from syncd.runtime.tracing import Settled, Value

log = structlog.get_logger()

_CLOSE_S = 3.0
_LINKS = 64
_QUIET_S = 60.0
_SDK_LOG = logging.getLogger("opentelemetry")
_FORMAT = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Implements `tracing.Tracer`. `processor` takes the finished spans."""

    writes = True

    def __init__(self, processor: SpanProcessor) -> None:
        known = {SERVICE_NAME: "syncd", SERVICE_VERSION: version("syncd")}
        resource = Resource.create(known).merge(OTELResourceDetector().detect())  # what operators name it counts
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("syncd", version("syncd"))

    @contextmanager
    def span(self, name: str, values: Mapping[str, Value]) -> Iterator[None]:
        """As the protocol says."""
        with self._span(name, SpanKind.INTERNAL, values):
            yield

    @contextmanager
    def request(self, method: str, route: str, traceparent: str | None) -> Iterator[None]:
        """As the protocol says."""
        values = {"http.request.method": method, "http.route": route}
        with self._span(f"{method} {route}", SpanKind.SERVER, values, context=_context(traceparent)):
            yield

    @contextmanager
    def call(self, adapter: str, operation: str) -> Iterator[None]:
        """As the protocol says."""
        if not trace.get_current_span().is_recording():
            yield
            return
        values = {"syncd.adapter": adapter, "syncd.operation": operation}
        with self._span(f"{adapter} {operation}", SpanKind.CLIENT, values):
            yield

    @contextmanager
    def work(self, lane: Lane, claims: Sequence[Claim]) -> Iterator[Settled]:
        """As the protocol says. The other subjects get a span each in their own event's trace, linked with this one."""
        kind, dataset = lane[0].value, lane[1]
        values: dict[str, Value] = {"syncd.kind": kind, "syncd.dataset": dataset, "syncd.subjects": len(claims)}
        told = dict.fromkeys(trace_ for claim in claims for trace_ in claim.traces)
        parent, *others = told or [None]
        links = _links(others)
        started = time.time_ns()
        with self._span(f"work on {kind}", SpanKind.CONSUMER, values, context=_context(parent), links=links) as span:

            def settled(settlements: Sequence[Settlement]) -> None:
                _count(span, settlements)
                for one in settlements:
                    if one.claim.traces and one.claim.traces[0] != parent:
                        self._worked_on(one, span, started)

            yield settled

    def _worked_on(self, settlement: Settlement, batch: Span, started: int) -> None:
        claim = settlement.claim
        first, *others = claim.traces
        span = self._tracer.start_span(
            f"work on {claim.subject.kind.value}",
            _context(first),
            SpanKind.CONSUMER,
            {"syncd.dataset": claim.subject.dataset, "syncd.subject": claim.subject.id},
            [Link(batch.get_span_context()), *_links(others)],
            started,
        )
        _count(span, [settlement])
        span.end()

    def answered(self, status: int) -> None:
        """As the protocol says."""
        span = trace.get_current_span()
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))

    def traceparent(self) -> str | None:
        """As the protocol says."""
        carrier: dict[str, str] = {}
        _FORMAT.inject(carrier)
        return carrier.get("traceparent")

    def ids(self) -> Mapping[str, str]:
        """As the protocol says."""
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}

    def close(self) -> None:
        """As the protocol says. The SDK itself would wait as long as its collector lets it."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_CLOSE_S)
        _SDK_LOG.handlers = [logging.NullHandler()]

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        values: Mapping[str, Value],
        *,
        context: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Iterator[Span]:
        span = self._tracer.start_span(name, context, kind, dict(values), links)
        # the SDK would record messages and stack traces of any error
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                _fail(span, error)
                raise


def _fail(span: Span, error: BaseException) -> None:
    if isinstance(error, asyncio.CancelledError):
        return
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR, str(error) if isinstance(error, SyncdError) else None))


def _count(span: Span, settlements: Sequence[Settlement]) -> None:
    for outcome in Outcome:
        if count := sum(one.outcome is outcome for one in settlements):
            span.set_attribute(f"syncd.{outcome.value}", count)
    causes = sorted({one.cause for one in settlements if one.cause})
    if causes:
        span.set_attribute("syncd.causes", causes)
    if any(one.cause or one.outcome is Outcome.DEAD for one in settlements):
        span.set_status(Status(StatusCode.ERROR))


def _context(traceparent: str | None) -> Context | None:
    """The context of a traceparent; the one around us where there is none, or where it is not valid."""
    return _FORMAT.extract({"traceparent": traceparent}) if traceparent else None


def _links(traceparents: Sequence[str | None]) -> list[Link]:
    contexts = (trace.get_current_span(_context(one)).get_span_context() for one in traceparents[:_LINKS])
    return [Link(context) for context in contexts if context.is_valid]


class _IntoOurLog(logging.Handler):
    """What the SDK says, as a line of ours: a minute's first, for it says each try of each batch."""

    said_at = -_QUIET_S

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() - self.said_at >= _QUIET_S:
            self.said_at = time.monotonic()
            log.warning("traces.not_sent", reason=record.getMessage()[:200])


def sent_to(endpoint: str, headers: Mapping[str, str]) -> OpenTelemetry:
    """Send spans in batches to a collector, at a base URL; an empty one: where OTEL_EXPORTER_OTLP_* say."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - not for a test's own
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    _SDK_LOG.handlers, _SDK_LOG.propagate = [_IntoOurLog()], False
    url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
    return OpenTelemetry(BatchSpanProcessor(OTLPSpanExporter(url, headers=dict(headers) or None)))
