"""What the daemon says of itself: structured logs and Prometheus metrics.

The metrics are module-level because Prometheus registries are; labels are bounded by the configuration (datasets,
kinds, routes, status classes), never by what a sender writes. Logs go to standard error.
"""

import logging
import sys
from collections.abc import Sequence

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, generate_latest

from syncd.domain.model import Settlement
from syncd.domain.notifications import BadEvent
from syncd.ports import Backlog, Lane

REQUESTS = Counter("syncd_http_requests_total", "Answers of the receiver.", ["route", "status"])
PENDING = Gauge("syncd_subjects_pending", "Subjects waiting or claimed.", ["kind", "dataset"])
DEAD = Gauge("syncd_subjects_dead", "Dead letters.", ["kind", "dataset"])
OLDEST = Gauge("syncd_subjects_oldest_seconds", "Age of the longest waiting subject.", ["kind", "dataset"])
SETTLED = Counter("syncd_subjects_settled_total", "Settled claims.", ["kind", "dataset", "outcome"])
QUARANTINED = Counter("syncd_events_quarantined_total", "Bad events by why they are.", ["source", "reason"])
RECONCILES = Counter("syncd_reconciles_total", "Reconciles by what they looked at.", ["dataset", "look"])


REASONS = frozenset({"invalid_key", "malformed", "unsupported_version", "too_large", "abandoned"})
"""Those of bad events that have a label of their own."""


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
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def count_request(route: str, status: int) -> None:
    """One more answer of the receiver."""
    REQUESTS.labels(route, str(status)).inc()


def count_settled(lane: Lane, settlements: Sequence[Settlement]) -> None:
    """These claims were settled."""
    for settlement in settlements:
        SETTLED.labels(lane[0].value, lane[1], settlement.outcome.value).inc()


def count_quarantined(source: str, bad: Sequence[BadEvent]) -> None:
    """These events of a source were bad."""
    for event in bad:
        QUARANTINED.labels(source, event.reason if event.reason in REASONS else "other").inc()


def show_backlog(backlog: Sequence[Backlog], now: float) -> None:
    """Set the gauges of what waits. `now` in unix seconds."""
    for gauge in (PENDING, DEAD, OLDEST):
        gauge.clear()  # a lane that is empty is not in the backlog
    for lane in backlog:
        labels = (lane.kind.value, lane.dataset)
        PENDING.labels(*labels).set(lane.pending + lane.claimed)
        DEAD.labels(*labels).set(lane.dead)
        OLDEST.labels(*labels).set(max(0.0, now - lane.oldest) if lane.oldest else 0.0)


def metrics_page() -> tuple[bytes, str]:
    """The page for Prometheus and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
