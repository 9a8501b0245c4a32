"""What the daemon writes of itself: structured logs, to standard error. `metrics` and `tracing` stand beside it."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from syncd.runtime.tracing import tracer


def configure_logging(level: str, style: str) -> None:
    """Send structured logs to standard error: `style` is console, json, or auto (console on a terminal)."""
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    lines = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    render = lines if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_trace,
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _with_trace(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Which trace a line belongs to, where traces are written."""
    line.update(tracer().ids())
    return line
