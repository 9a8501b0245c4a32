"""The decisions, as tables: which sight is believed, and what is done about an object."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.model import ObjectRef, Observation, Record, TaskState
from syncd.domain.planning import OnChange, OnDelete, Plan, Policy, newer, plan, same_version

REF = ObjectRef("s3://photos", "a.jpg")
V1 = Observation(1.0, etag="v1", size=1)
V2 = Observation(2.0, etag="v2", size=2)
GONE = Observation(3.0, gone=True)


def record(etag: str, state: TaskState = TaskState.ACTIVE, serial: int = 0) -> Record:
    return Record("d", REF, f"key-{serial}", str(serial + 1), etag, serial=serial, state=state)


def shape(planned: Plan) -> tuple[str | None, list[str], list[str]]:
    """What is placed (etag), and the task ids retired and restored."""
    placed = planned.place.etag if planned.place else None
    return placed, [r.task_id for r in planned.retire], [r.task_id for r in planned.restore]


ACTIVE, RETIRED, REMOVED, DISCARDED = TaskState.ACTIVE, TaskState.RETIRED, TaskState.REMOVED, TaskState.DISCARDED


@pytest.mark.parametrize(
    ("seen", "records", "policy", "expected"),
    [
        pytest.param(V1, [], {}, ("v1", [], []), id="a new object is placed"),
        pytest.param(V1, [("v1", ACTIVE)], {}, (None, [], []), id="the same version again is nothing"),
        pytest.param(V2, [("v1", ACTIVE)], {}, ("v2", [], []), id="a changed object gets a task more"),
        pytest.param(V2, [("v1", ACTIVE)], {"on_change": "replace"}, ("v2", ["1"], []), id="or replaces the old task"),
        pytest.param(V2, [("v1", ACTIVE)], {"on_change": "ignore"}, (None, [], []), id="or is ignored"),
        pytest.param(
            V2, [("v1", ACTIVE), ("v2", ACTIVE)], {"on_change": "replace"}, (None, ["1"], []),
            id="a replacement cut short after placing is finished",
        ),
        pytest.param(GONE, [("v1", ACTIVE)], {}, (None, [], []), id="a deleted object keeps its task"),
        pytest.param(GONE, [("v1", ACTIVE)], {"on_delete": "retire"}, (None, ["1"], []), id="or loses it"),
        pytest.param(GONE, [], {"on_delete": "retire"}, (None, [], []), id="gone before it was placed"),
        pytest.param(V1, [("v1", REMOVED)], {}, ("v1", [], []), id="back after its idle task was removed: a new one"),
        pytest.param(V1, [("v1", RETIRED)], {}, (None, [], ["1"]), id="back with human work kept: the same one"),
        pytest.param(V1, [("v1", DISCARDED)], {}, (None, [], []), id="a person deleted its task: not made again"),
        pytest.param(V2, [("v1", DISCARDED)], {}, ("v2", [], []), id="but the next version is"),
        pytest.param(
            V1, [("v1", RETIRED), ("v2", ACTIVE)], {"on_change": "replace"}, (None, ["2"], ["1"]),
            id="changed back: the old one returns, the new one retires",
        ),
    ],
)  # fmt: skip
def test_plan(
    seen: Observation,
    records: list[tuple[str, TaskState]],
    policy: dict[str, str],
    expected: tuple[str | None, list[str], list[str]],
) -> None:
    chosen = Policy(OnChange(policy.get("on_change", "new-task")), OnDelete(policy.get("on_delete", "keep")))
    held = [record(etag, state, serial) for serial, (etag, state) in enumerate(records)]
    assert shape(plan("d", REF, seen, held, chosen)) == expected


@pytest.mark.parametrize("seen", [V1, V2, GONE], ids=["back", "changed", "gone"])
def test_what_is_in_doubt_is_finished_first_and_then_planned_anew(seen: Observation) -> None:
    held = [record("v1", TaskState.IN_DOUBT), record("v2", ACTIVE, 1)]
    planned = plan("d", REF, seen, held, Policy())
    assert (planned.unfinished, shape(planned)) == (True, (None, ["1"], []))


def test_a_new_task_of_an_object_has_a_key_of_its_own() -> None:
    first = plan("d", REF, V1, [], Policy()).place
    again = plan("d", REF, V1, [record("v1", REMOVED)], Policy()).place
    assert first
    assert again
    assert (first.serial, again.serial) == (0, 1)
    assert first.task_key != again.task_key
    assert first == plan("d", REF, V1, [], Policy()).place, "and always the same one"


states = st.sampled_from(list(TaskState))
histories = st.lists(st.tuples(st.sampled_from(["v1", "v2", "v3"]), states), max_size=5)
policies = st.builds(Policy, st.sampled_from(list(OnChange)), st.sampled_from(list(OnDelete)))


@given(histories, policies, st.sampled_from([V1, V2, GONE]))
def test_applying_a_plan_leaves_nothing_to_plan(
    history: list[tuple[str, TaskState]], policy: Policy, seen: Observation
) -> None:
    held = [record(etag, state, serial) for serial, (etag, state) in enumerate(history)]
    after = {r.task_id: r for r in held}
    planned = plan("d", REF, seen, held, policy)
    if planned.unfinished:
        after |= {r.task_id: record(r.etag or "", REMOVED, r.serial) for r in planned.retire}
        planned = plan("d", REF, seen, list(after.values()), policy)
    if planned.place:
        made = record(planned.place.etag or "", ACTIVE, planned.place.serial)
        after[made.task_id] = made
    for r in planned.retire:
        after[r.task_id] = record(r.etag or "", REMOVED, r.serial)
    for r in planned.restore:
        after[r.task_id] = record(r.etag or "", ACTIVE, r.serial)
    assert shape(plan("d", REF, seen, list(after.values()), policy)) == (None, [], [])


# ---------------------------------------------------------------- which sight is believed


def seen_at(at: float, sequencer: str | None = None, etag: str = "e") -> Observation:
    return Observation(at, etag=etag, sequencer=sequencer)


@pytest.mark.parametrize(
    ("known", "seen", "believed"),
    [
        (None, seen_at(1), "seen"),
        (seen_at(1), None, "known"),
        (seen_at(1), seen_at(2), "seen"),
        (seen_at(2), seen_at(1), "known"),
        (seen_at(9, "0055AED6DCD90281E5"), seen_at(1, "0055AED6DCD90281E6"), "seen"),
        (seen_at(1, "0055AED6DCD90281E6"), seen_at(9, "0055AED6DCD90281E5"), "known"),
        (seen_at(1, "0055AED6DCD90281E5"), seen_at(9, "0055AED6DCD90281E5"), "seen"),
        (seen_at(9, "00A"), seen_at(1, "00A1"), "seen"),  # the shorter is padded on the right
    ],
)
def test_the_newer_of_two_is_believed(known: Observation | None, seen: Observation | None, believed: str) -> None:
    assert newer(known, seen) == {"known": known, "seen": seen}[believed]


@pytest.mark.parametrize(
    ("known", "seen"),
    [
        (seen_at(1, etag="a"), seen_at(2, etag="b")),
        (seen_at(2, etag="a"), seen_at(1, etag="b")),
        (seen_at(1, "00A1", etag="a"), seen_at(9, etag="b")),
        (seen_at(9, etag="b"), seen_at(1, "00A1", etag="a")),
        (seen_at(1, "s3:A", etag="a"), seen_at(2, "eventbridge:B", etag="b")),
        (seen_at(1, "00A1"), Observation(1, gone=True, sequencer="00A1")),
        (seen_at(1), Observation(2, gone=True)),
        (Observation(1, gone=True), seen_at(2)),
        (Observation(1), seen_at(2)),
        (seen_at(1), Observation(2)),
    ],
)
def test_of_two_that_differ_without_an_order_neither_is_believed_and_the_object_is_looked_at(
    known: Observation, seen: Observation
) -> None:
    believed = newer(known, seen)
    assert believed
    assert (believed.version, believed.gone) == (None, False)
    assert believed.observed_at == max(known.observed_at, seen.observed_at)
    assert believed.sequencer == (known.sequencer or seen.sequencer), "what is older than it stays old"


def test_a_listing_that_says_the_same_as_an_event_takes_nothing_from_it() -> None:
    event = Observation(5, "e", "v1", "00A1")
    listed = Observation(9, "e", size=3)
    assert newer(event, listed) == newer(listed, event) == Observation(9, "e", "v1", "00A1", 3)


@pytest.mark.parametrize(
    ("record_version", "seen_version", "same"),
    [
        (("e", "v1"), ("e", "v1"), True),
        (("e", "v1"), ("e", "v2"), False),
        (("e", "v1"), ("x", "v1"), True),
        (("e", "v1"), ("e", None), True),  # a listing of a bucket with versions: it has no version ids
        (("e", "v1"), ("x", None), False),
        ((None, "v1"), ("e", None), False),
        ((None, "v1"), (None, None), False),
        ((None, None), (None, None), True),
    ],
)
def test_versions_are_told_apart_by_version_id_or_else_by_etag(
    record_version: tuple[str | None, str | None], seen_version: tuple[str | None, str | None], same: bool
) -> None:
    held = Record("d", REF, "key", "1", *record_version)
    assert same_version(held, Observation(1, *seen_version)) is same


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=6, unique=True))
def test_whatever_the_order_of_arrival_the_newest_sequencer_wins(numbers: list[int]) -> None:
    events = [seen_at(float(n % 7), f"{n:08X}", etag=str(n)) for n in numbers]
    for order in itertools.islice(itertools.permutations(events), 50):
        believed = None
        for event in order:
            believed = newer(believed, event)
        assert believed
        assert believed.etag == str(max(numbers))
