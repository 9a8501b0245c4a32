"""Between a parser and the state: drops what a source may not speak of, delivers the rest, counts all of it.

Used by every source that hears of buckets in messages. A sender that is trusted for its own bucket is not trusted
for another one, so events of buckets that the source does not list go no further; that is no error of the message,
which may hold others. Metrics have bounded labels: configured source names, and the few words of the parsers.
"""

from collections.abc import Mapping
from functools import cache

import structlog
from prometheus_client import Counter

from syncd.domain.notifications import Notices
from syncd.ports import Deliver, ObjectStore, Seen

log = structlog.get_logger()

EVENTS = Counter(
    "syncd_source_events_total",
    "Events that sources were told: seen, bad, ignored or unrouted (of a bucket the source does not list).",
    ["source", "outcome", "reason"],
)
_BATCH = 1_000
_NAMED = 20
"""So many foreign buckets are named in the log, once each; the names are the sender's to choose."""


class Gate:
    """The gate of one source. `stores` are the buckets it may speak of."""

    def __init__(self, source: str, stores: Mapping[str, ObjectStore]) -> None:
        self._source = source
        self._stores = stores
        self._foreign: set[str] = set()

    async def deliver(self, notices: Notices, deliver: Deliver) -> None:
        """Deliver what is ours; durable on return. Counted only then: what `deliver` refuses comes again."""
        seen: list[Seen] = []
        for ref, sight in notices.seen:
            if ref.bucket in self._stores:
                seen.append((ref, sight))
            else:
                self._drop(ref.bucket)
        if seen or notices.bad:
            await deliver(seen[:_BATCH], notices.bad)
        for start in range(_BATCH, len(seen), _BATCH):  # so that others get their turn at the state in between
            await deliver(seen[start : start + _BATCH])
        self._count(notices, len(seen))

    def _drop(self, bucket: str) -> None:
        if bucket not in self._foreign and len(self._foreign) < _NAMED:
            self._foreign.add(bucket)
            log.warning("event.dropped", source=self._source, bucket=bucket, reason="the source lists no such bucket")

    def _count(self, notices: Notices, seen: int) -> None:
        self._add("seen", "", seen)
        self._add("unrouted", "", len(notices.seen) - seen)
        for bad in notices.bad:
            self._add("bad", bad.reason, 1)
        for name, times in notices.ignored.items():
            self._add("ignored", name, times)

    def _add(self, outcome: str, reason: str, events: int) -> None:
        if events:
            _counter(self._source, outcome, reason).inc(events)


@cache
def _counter(source: str, outcome: str, reason: str) -> Counter:
    """The counter of these labels, which are few: to look it up there takes longer than to count."""
    return EVENTS.labels(source, outcome, reason)
