"""What the daemon counts, for Prometheus: every metric but that of `sources.gate`, and what bounds their labels.

Used by `runtime` and `service`. The metrics are module-level because Prometheus registries are. Labels come from the
configuration (datasets, kinds, sources, routes) and from fixed words, never from what a sender writes; datasets that
keys bring are many, so only the first have a label of their own. `config/metrics.md` lists them for operators, and a
test holds it in step. Times are seconds.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Info,
    disable_created_metrics,
    generate_latest,
)

from syncd.domain.model import Kind, Outcome, Settlement, VersionInfo
from syncd.domain.notifications import BadEvent
from syncd.ports import Backlog, Lane
from syncd.runtime.durations import Durations

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each one, which nobody reads

_WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
"""From the fastest way through to a day's outage."""
_CALLS = (0.001, 0.005, 0.025, 0.1, 0.25, 1, 5, 15, 60)

BUILD = Info("syncd_build", "Version of syncd and of its Python.")
BUILD.info({"version": version("syncd"), "python": platform.python_version()})

# ------------------------------------------------------------ HTTP
REQUESTS = Counter("syncd_http_requests_total", "Answers of the receiver.", ["route", "status"])
REJECTIONS = Counter("syncd_http_rejections_total", "Requests that were not taken, by why.", ["route", "reason"])
ANSWERING = Durations("syncd_http_request_seconds", "Time to an answer, body and all.", ["route"], buckets=_CALLS)

# ------------------------------------------------------------ the set of subjects
PENDING = Gauge("syncd_subjects_pending", "Subjects waiting or claimed.", ["kind", "dataset"])
DEAD = Gauge("syncd_subjects_dead", "Dead letters there are.", ["kind", "dataset"])
OLDEST = Gauge("syncd_subjects_oldest_seconds", "Age of the longest waiting subject.", ["kind", "dataset"])
SETTLED = Counter("syncd_subjects_settled_total", "Settled claims.", ["kind", "dataset", "outcome"])
RETRIES = Counter("syncd_retries_total", "Claims that failed and are tried again, by who failed.", ["kind", "reason"])
DEAD_LETTERS = Counter("syncd_dead_letters_total", "Claims given up, by who failed.", ["kind", "reason"])
LEASES_LOST = Counter(
    "syncd_leases_lost_total", "Claims somebody else took over, by when it was noticed.", ["kind", "noticed"]
)

# ------------------------------------------------------------ from one end to the other
EVENT_TO_TASK = Durations(
    "syncd_event_to_task_seconds",
    "From the first event of an object to its recorded task, retries and outages included.",
    ["dataset"],
    buckets=_WAITS,
)
ANNOTATION_TO_SNAPSHOT = Durations(
    "syncd_annotation_to_snapshot_seconds",
    "From the first event of an annotation to the version that holds it; after a restart from when it was submitted.",
    ["dataset"],
    buckets=_WAITS,
)
SOURCE_LAG = Durations(
    "syncd_source_lag_seconds",
    "Of each delivery's oldest event, from the sender's time to durable; clocks may differ.",
    ["source"],
    buckets=_WAITS,
)
QUARANTINED = Counter("syncd_events_quarantined_total", "Bad events by why they are.", ["source", "reason"])
DEGRADED = Gauge("syncd_source_degraded", "1 where a source does not work as it should; the log says why.", ["source"])
TASKS = Counter("syncd_tasks_recorded_total", "Tasks made and recorded.", ["dataset"])
INTENTS = Gauge("syncd_intents_open", "Imports whose fate is not known yet.", ["dataset"])
STAGED = Gauge("syncd_rows_staged", "Changed rows that wait for a version.", ["dataset"])
VERSIONS = Counter("syncd_versions_committed_total", "Versions committed by this process.", ["dataset"])
ROWS = Counter("syncd_version_rows_total", "Rows changed by the versions committed.", ["dataset", "change"])

# ------------------------------------------------------------ reconcile, and the outside
RECONCILES = Counter("syncd_reconciles_total", "Looks for what was missed that ended well.", ["dataset", "look"])
RECONCILE_FAILURES = Counter("syncd_reconcile_failures_total", "Looks for what was missed that failed.", ["look"])
RECONCILED_AT = Gauge(
    "syncd_reconcile_success_timestamp_seconds", "When a look for what was missed last ended well.", ["dataset", "look"]
)
FOUND = Counter("syncd_reconcile_found_total", "What looks found out of step.", ["dataset", "found"])
CALLS = Durations(
    "syncd_adapter_seconds",
    "Time of a call to the annotator, an object store, the snapshots or the state; of a listing, of each page.",
    ["adapter", "operation", "outcome"],
    buckets=_CALLS,
)

_QUARANTINE_REASONS = frozenset({"invalid_key", "malformed", "unsupported_version", "too_large", "abandoned"})
_REJECTED_FOR = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "unknown_route",
    405: "method",
    408: "slow",
    413: "too_large",
    415: "media_type",
    431: "header_too_large",
    503: "not_stored",
}
OTHER = "other"


class _Names:
    """Names that keys may bring: the first so many are labels of their own, the others share one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        if len(self._known) < self._most:
            self._known.add(name)
        return name if name in self._known else OTHER


_LANES = _Names(most=100)
dataset_label = _Names(most=50).label
"""The label a dataset is counted under."""


@cache
def _requests(route: str, status: int) -> Counter:
    """The counter of these labels, which are few: to look it up there takes longer than to count."""
    return REQUESTS.labels(route, str(status))


def count_request(route: str, status: int) -> None:
    """One more answer of the receiver."""
    _requests(route, status).inc()
    if status >= 400:
        REJECTIONS.labels(route, _REJECTED_FOR.get(status, OTHER)).inc()


def time_request(route: str, seconds: float) -> None:
    """So long an answer of the receiver took."""
    ANSWERING.labels(route).observe(seconds)


def count_settled(lane: Lane, settlements: Sequence[Settlement], lost: int) -> None:
    """These claims were settled; `lost` of them were somebody else's by then."""
    kind, dataset = lane[0].value, _LANES.label(lane[1])
    for settlement in settlements:
        SETTLED.labels(kind, dataset, settlement.outcome.value).inc()
        if settlement.outcome is Outcome.DEAD:
            DEAD_LETTERS.labels(kind, _cause(settlement)).inc()
        elif settlement.outcome is Outcome.AGAIN and settlement.failed:
            RETRIES.labels(kind, _cause(settlement)).inc()
    count_lost(lane[0], "settle", lost)


def count_lost(kind: Kind, noticed: str, claims: int) -> None:
    """So many claims were lost to another worker, which was noticed when they were to be renewed or settled."""
    if claims:
        LEASES_LOST.labels(kind.value, noticed).inc(claims)


def _cause(settlement: Settlement) -> str:
    """Who failed and how. A delivery's log has its target's own words, which are no label."""
    verdict = "rejected" if settlement.outcome is Outcome.DEAD else "retryable"
    trigger = settlement.claim.subject.kind is Kind.DELIVERY
    return settlement.cause or f"{'trigger' if trigger else 'flow'}_{verdict}"


def count_quarantined(source: str, bad: Sequence[BadEvent]) -> None:
    """These events of a source were bad."""
    for event in bad:
        QUARANTINED.labels(source, event.reason if event.reason in _QUARANTINE_REASONS else OTHER).inc()


def count_version(version: VersionInfo) -> None:
    """A version was committed."""
    dataset = dataset_label(version.dataset)
    VERSIONS.labels(dataset).inc()
    for change in ("inserted", "updated", "deleted"):
        ROWS.labels(dataset, change).inc(getattr(version, change))


def count_look(dataset: str, look: str, now: float) -> None:
    """A look for what was missed ended well. `now` in unix seconds."""
    RECONCILES.labels(dataset_label(dataset), look).inc()
    RECONCILED_AT.labels(dataset_label(dataset), look).set(now)


def count_found(dataset: str, counts: Mapping[str, int]) -> None:
    """What a look found, by the words of `Findings`."""
    for found, count in counts.items():
        FOUND.labels(dataset_label(dataset), found).inc(count)


def show_backlog(backlog: Sequence[Backlog], now: float) -> None:
    """Set the gauges of what waits. `now` in unix seconds."""
    for gauge in (PENDING, DEAD, OLDEST):
        gauge.clear()  # a lane that is empty is not in the backlog
    ages: dict[tuple[str, str], float] = {}
    for lane in backlog:
        labels = (lane.kind.value, _LANES.label(lane.dataset))
        PENDING.labels(*labels).inc(lane.pending + lane.claimed)
        DEAD.labels(*labels).inc(lane.dead)
        ages[labels] = max(ages.get(labels, 0.0), now - lane.oldest if lane.oldest else 0.0)
    for labels, age in ages.items():
        OLDEST.labels(*labels).set(age)


def show_datasets(standing: Iterable[tuple[str, int, int]]) -> None:
    """Set the gauges of datasets: name, open intents, staged rows of each."""
    for gauge in (INTENTS, STAGED):
        gauge.clear()
    for name, intents, staged in standing:
        INTENTS.labels(dataset_label(name)).inc(intents)
        STAGED.labels(dataset_label(name)).inc(staged)


def metrics_page() -> tuple[bytes, str]:
    """The page for Prometheus and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
