"""Each sender's way to count becomes text that sorts; counts of two senders are never compared."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain import sequencers
from syncd.domain.model import Observation
from syncd.domain.planning import newer


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("s3:0055AED6DCD90281E5", "s3:0055AED6DCD90281E6", -1),
        ("s3:00A", "s3:00A1", -1),  # the shorter is padded on the right
        ("s3:00A", "s3:00A0", 0),
        ("s3:00B", "s3:00A1", 1),
        ("s3:00A", "eventbridge:00A", None),
        ("s3:00A", "00A", None),
        ("00A", "00A1", -1),
        ("", "s3:00A", None),
        ("plain:zebra", "plain:apple", 1),
        ("a:b:1", "a:b:2", -1),
    ],
)
def test_order(one: str, other: str, expected: int | None) -> None:
    assert sequencers.order(one, other) == expected
    assert sequencers.order(other, one) == (-expected if expected else expected)


def test_ceph_counts_backwards() -> None:
    """As measured on one key: a deletion 13 ms after its PUT, whose sequencer is the smaller text."""
    put, deleted = sequencers.ceph("2D7D006BE907771E"), sequencers.ceph("2D7D006B611C391F")
    assert (put, deleted) == ("ceph:6B007D2D1E7707E9", "ceph:6B007D2D1F391C61")
    assert put
    assert deleted
    assert sequencers.order(put, deleted) == -1
    assert sequencers.ceph("F7E6D75DC742D108") == "ceph:5DD7E6F708D142C7"  # the docs' sample


@pytest.mark.parametrize("value", [None, "", "F7E6D75DC742D10", "F7E6D75DC742D1088", "F7E6D75DC742D10 ", "x" * 16, 7])
def test_what_ceph_never_sends_is_none(value: object) -> None:
    assert sequencers.ceph(value) is None


moments = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 999_999_999))


@given(moments, moments)
def test_ceph_sorts_by_time(one: tuple[int, int], other: tuple[int, int]) -> None:
    left, right = (
        sequencers.ceph("".join(part.to_bytes(4, "little").hex() for part in moment)) for moment in (one, other)
    )
    assert left
    assert right
    assert sequencers.order(left, right) == (one > other) - (one < other)


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**63 - 1), st.booleans(), st.booleans())
def test_generations_sort_by_number_and_end_after_they_began(
    one: int, other: int, one_gone: bool, other_gone: bool
) -> None:
    left, right = sequencers.generation(one, gone=one_gone), sequencers.generation(str(other), gone=other_gone)
    assert left
    assert right
    expected = ((one, one_gone) > (other, other_gone)) - ((one, one_gone) < (other, other_gone))
    assert sequencers.order(left, right) == expected


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_an_uploaders_numbers_sort_as_numbers(one: int, other: int) -> None:
    left, right = sequencers.plain(one), sequencers.plain(other)
    assert left
    assert right
    assert sequencers.order(left, right) == (one > other) - (one < other)


any_value = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70) | st.binary(max_size=3)


@given(any_value, st.booleans())
def test_any_value_is_a_sequencer_or_none(value: object, gone: bool) -> None:
    made = [sequencers.hexadecimal("s3", value), sequencers.ceph(value), sequencers.plain(value)]
    made.append(sequencers.generation(value, gone=gone))
    for sequencer in made:
        assert sequencer is None or (sequencer.isascii() and sequencer.isprintable() and len(sequencer) <= 72)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_can_be_compared_and_the_order_is_one(one: str, other: str, third: str) -> None:
    assert sequencers.order(one, one) == 0
    if sequencers.order(one, other) == -1 and sequencers.order(other, third) == -1:
        assert sequencers.order(one, third) == -1


# ---------------------------------------------------------------- what is believed of two senders

LOOK = (None, False)


def told(sender: str, number: int, version: str | None) -> Observation:
    at = float(number % 3)  # clocks say nothing
    return Observation(at, etag=version, sequencer=f"{sender}:{number:04X}", gone=version is None)


def believed(*events: Observation) -> Observation:
    belief: Observation | None = None
    for event in events:
        belief = newer(belief, event)
    assert belief
    return belief


histories = st.lists(st.sampled_from(["A", "B", None]), min_size=1, max_size=5)


@given(histories)
def test_every_order_of_one_senders_events_ends_the_same(history: list[str | None]) -> None:
    """Created, overwritten, deleted, created with the same bytes again: whatever comes when, the last one counts."""
    events = [told("s3", number, version) for number, version in enumerate(history)]
    for order in itertools.permutations(events):
        assert believed(*order, *order[:2]).sequencer == events[-1].sequencer
        assert (believed(*order).etag, believed(*order).gone) == (history[-1], history[-1] is None)


@given(histories, st.randoms(use_true_random=False))
def test_of_two_senders_either_the_truth_is_believed_or_the_object_looked_at(
    history: list[str | None], random: object
) -> None:
    """One change is told by both, each in a count of its own."""
    both = [told(sender, number, version) for number, version in enumerate(history) for sender in ("s3", "plain")]
    random.shuffle(both)  # type: ignore[attr-defined]
    belief = believed(*both)
    assert (belief.etag, belief.gone) in {(history[-1], history[-1] is None), LOOK}


@given(histories, st.randoms(use_true_random=False))
def test_a_change_that_was_told_without_an_order_is_looked_at_whatever_else_comes(
    history: list[str | None], random: object
) -> None:
    """Such as the deletion of the newest version, which makes an older one the object again."""
    events = [told("s3", number, version) for number, version in enumerate(history)]
    events += [Observation(1.0), *events[:2]]
    random.shuffle(events)  # type: ignore[attr-defined]
    belief = believed(*events)
    assert (belief.etag, belief.gone) == LOOK


def test_what_a_second_sender_repeats_late_does_not_make_old_things_look_new() -> None:
    """Bytes that came back: the late first event agrees with the newest version, the late second one does not."""
    newest = told("s3", 2, "B")
    assert believed(newest, told("plain", 0, "B"), told("plain", 1, "A")).version is None


def test_a_look_is_no_version_without_an_etag() -> None:
    """Of a composed object of Cloud Storage an event tells the generation only."""
    written = Observation(1.0, version_id="1700000000123456", sequencer="gcs:000017000000001234560")
    for pair in [(Observation(2.0), written), (written, Observation(2.0))]:
        assert believed(*pair).version is None
