"""How the daemon is watched: requests traced, traces sent, health and metrics at an address of their own.

Used by `daemon`.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import structlog
from aiohttp import hdrs, web

from syncd.config import Config, Telemetry
from syncd.domain.errors import ConfigError, Problem
from syncd.runtime.tracing import tracer, use
from syncd.sources.connections import Handler
from syncd.sources.receiver import Receiver

log = structlog.get_logger()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NEEDS = "the extra: pip install 'syncd[otel]'"


async def watched(route: str, handler: Handler, request: web.Request) -> web.StreamResponse:
    """A sender's request as a span, below the sender's own where it shows a `traceparent`."""
    if not tracer().writes:
        return await handler(request)
    method = request.method if request.method in hdrs.METH_ALL else "_OTHER"  # as OpenTelemetry wants it
    with tracer().request(method, route, request.headers.get("traceparent")):
        response = await handler(request)
        tracer().answered(response.status)
        return response


@asynccontextmanager
async def admin_listening(config: Config, receiver: Receiver) -> AsyncIterator[None]:
    """Health and metrics at `receiver.admin`, until the context ends.

    ConfigError: the address that was configured cannot be had. Without the default one the daemon lives: it is the
    second on this host, and says so.
    """
    address = config.receiver.admin_address
    async with AsyncExitStack() as stack:
        if address:
            try:
                await stack.enter_async_context(receiver.listen_aside(*address))
            except OSError:
                found, allowed = f"{config.receiver.admin} is taken, or no address of this host", "another HOST:PORT"
                if "admin" in config.receiver.model_fields_set:
                    raise ConfigError([Problem("receiver.admin", found, f"{allowed}; or empty: none")]) from None
                log.warning("admin.not_listening", reason=found, hint=f"set receiver.admin to {allowed}")
        yield


@contextmanager
def traced(telemetry: Telemetry) -> Iterator[None]:
    """Write traces until the context ends, where a collector is named, by the configuration or by OTEL_*.

    ConfigError: it is named by the configuration, and the extra is not there, or a header's secret.
    """
    named_outside = any(os.environ.get(name) for name in _ENDPOINTS)
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not (telemetry.otlp_endpoint or named_outside):
        yield
        return
    headers = telemetry.resolved_headers("telemetry.otlp_headers")
    try:
        from syncd.runtime.opentelemetry import sent_to  # noqa: PLC0415 - an extra, and seconds of CPU
    except ImportError:
        if telemetry.otlp_endpoint:
            raise ConfigError([Problem("telemetry.otlp_endpoint", "", f"needs {_NEEDS}")]) from None
        log.warning("traces.off", reason=f"a collector is named by OTEL_*, which needs {_NEEDS}")
        yield
        return
    with use(sent_to(telemetry.otlp_endpoint, headers)):
        yield
