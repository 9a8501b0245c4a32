"""Our own histogram beside the Prometheus client's: whatever is observed, the page is the same."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest

from syncd.runtime.durations import Durations

BOUNDS = (0.001, 0.5, 1, 60)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.sampled_from(BOUNDS), st.floats(0, 100)))))
def test_the_page_is_that_of_the_clients_own_histogram(observed: list[tuple[str, float]]) -> None:
    theirs = CollectorRegistry()
    client = Histogram("x_seconds", "About it.", ["kind"], registry=theirs, buckets=BOUNDS)
    ours = Durations("x_seconds", "About it.", ["kind"], buckets=BOUNDS)
    REGISTRY.unregister(ours)
    own = CollectorRegistry()
    own.register(ours)
    for kind, seconds in observed:
        client.labels(kind).observe(seconds)
        ours.labels(kind).observe(seconds)
    assert generate_latest(own) == generate_latest(theirs)
