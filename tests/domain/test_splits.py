"""Splits: stable, grouped, in proportion, and never changed for an object that has one."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.errors import ConfigError
from syncd.domain.model import Row
from syncd.domain.splits import Known, Splits, assign
from tests.snapshots.rows import row

VIDEOS = r"^(.*)/frame_\d+\.jpg$"
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
SPLITS = st.builds(
    Splits,
    shares=st.sampled_from([{"train": 0.8, "val": 0.1, "test": 0.1}, {"a": 0.5, "b": 0.5}, {"all": 1.0}]),
    group=st.sampled_from([None, "^.", "(a)|b", r"\d+"]),
    stratify=st.booleans(),
)
LABELS = st.lists(st.sampled_from(["cat", "dog", "owl"]), unique=True).map(tuple)


def labelled(key: str, *labels: str) -> Row:
    return row(key, key=key, labels=labels)


def commit(there: dict[str, Row], rows: Iterable[Row], splits: Splits) -> None:
    """As a snapshot store does."""
    for made in assign(list(rows), splits, Known.of(there.values(), splits)):
        there[made.annotation_id] = made


def by_label(rows: Iterable[Row]) -> dict[str, Counter[str | None]]:
    counts: dict[str, Counter[str | None]] = {}
    for one in rows:
        for label in one.labels:
            counts.setdefault(label, Counter())[one.split] += 1
    return counts


# ---------------------------------------------------------------- by hash


def test_an_object_lies_where_the_sha256_of_its_key_lies_between_0_and_1() -> None:
    def expected(key: str) -> str:
        at = int(sha256(key.encode()).hexdigest()[:16], 16) / 16**16
        return "train" if at < 0.8 else "val" if at < 0.9 else "test"

    keys = [f"photos/{n}.jpg" for n in range(200)]
    assert [Splits().hashed(key) for key in keys] == [expected(key) for key in keys]


def test_known_assignments_are_the_same_in_every_release() -> None:
    keys = ["photos/1.jpg", "cats/ä.jpg", "日本/7.png", "", "task:12"]
    assert [Splits().hashed(key) for key in keys] == ["train", "train", "train", "val", "train"]
    assert [n for n in range(40) if Splits().hashed(f"{n}.jpg") == "test"] == [13, 15]


def test_the_shares_hold_over_many_keys() -> None:
    counts = Counter(Splits().hashed(f"bucket/{n:06}.jpg") for n in range(20_000))
    for name, share in Splits().shares.items():
        spread = (20_000 * share * (1 - share)) ** 0.5
        assert abs(counts[name] - 20_000 * share) < 4 * spread


@given(KEYS, st.lists(KEYS), st.lists(KEYS), SPLITS.filter(lambda splits: not splits.stratify))
def test_by_hash_an_object_has_one_split_whatever_else_is_committed(
    key: str, first: list[str], second: list[str], splits: Splits
) -> None:
    alone: dict[str, Row] = {}
    commit(alone, [labelled(key)], splits)
    crowded: dict[str, Row] = {}
    commit(crowded, [labelled(one) for one in first], splits)
    commit(crowded, [labelled(one) for one in [*second, key]], splits)
    assert crowded[key].split == alone[key].split


def test_frames_of_one_video_stay_together() -> None:
    rows = [labelled(f"video{n % 50}/frame_{n}.jpg") for n in range(2_000)]
    made = assign(rows, Splits(group=VIDEOS), Known())
    found = {(one.key or "").partition("/")[0]: one.split for one in made}
    assert all(found[(one.key or "").partition("/")[0]] == one.split for one in made)
    assert {*found.values()} == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("pattern", "key", "group"),
    [
        (None, "a/1.jpg", "a/1.jpg"),
        ("^[^/]+", "a/1.jpg", "a"),
        ("^([^/]+)/", "a/1.jpg", "a"),
        ("^cam(\\d+)", "photos/1.jpg", "photos/1.jpg"),
        ("(x)|b", "b/1.jpg", "b"),
        ("(x)|(b)/", "b/1.jpg", "b/"),
    ],
)
def test_the_group_is_what_the_pattern_finds_or_the_key(pattern: str | None, key: str, group: str) -> None:
    assert Splits(group=pattern).group_of(key) == group


def test_a_task_without_an_object_has_the_split_of_its_id() -> None:
    made = assign([row(str(n), task_id=str(n // 2)) for n in range(200)], Splits(group=VIDEOS), Known())
    assert [one.split for one in made] == [Splits().hashed(f"task:{n // 2}") for n in range(200)]


def test_a_row_that_brings_a_split_keeps_it_and_its_object_with_it() -> None:
    brought, other = row("1", key="k", split="mine"), row("2", key="k")
    assert [one.split for one in assign([other, brought], Splits(), Known())] == ["mine", "mine"]


# ---------------------------------------------------------------- over time

ROWS = st.tuples(st.sampled_from("0123456789"), st.sampled_from(["a1", "a2", "b1", "b2", "c", None]), LABELS)
HISTORIES = st.lists(st.tuples(st.lists(ROWS, max_size=6), SPLITS), max_size=8)


def history_row(id_: str, key: str | None, labels: tuple[str, ...]) -> Row:
    return row(f"{id_}/{key}", key=key, task_id=id_, labels=labels)


@given(HISTORIES)
def test_no_object_ever_changes_its_split_whatever_the_configuration_becomes(
    history: list[tuple[list[tuple[str, str | None, tuple[str, ...]]], Splits]],
) -> None:
    there: dict[str, Row] = {}
    given_once: dict[str | None, str | None] = {}
    for batch, splits in history:
        commit(there, [history_row(*one) for one in batch], splits)
        for one in there.values():
            assert one.split is not None
            assert given_once.setdefault(one.key or one.task_id, one.split) == one.split


@given(HISTORIES.map(lambda history: [batch for batch, _ in history]), st.booleans())
def test_groups_stay_together_over_a_history(
    history: list[list[tuple[str, str | None, tuple[str, ...]]]], stratify: bool
) -> None:
    there: dict[str, Row] = {}
    splits = Splits({"train": 0.5, "test": 0.5}, group="^[ab]", stratify=stratify)
    for batch in history:
        commit(there, [history_row(*one) for one in batch], splits)
    groups: dict[str, set[str | None]] = {}
    for one in there.values():
        groups.setdefault(splits.group_of_row(one), set()).add(one.split)
    assert all(len(found) == 1 for found in groups.values())


def test_a_new_object_of_a_group_joins_it_though_the_shares_have_changed() -> None:
    there: dict[str, Row] = {}
    commit(there, [labelled(f"video{n}/frame_1.jpg") for n in range(100)], Splits(group=VIDEOS))
    before = {key.partition("/")[0]: one.split for key, one in there.items()}
    commit(there, [labelled(f"video{n}/frame_2.jpg") for n in range(100)], Splits({"new": 1.0}, group=VIDEOS))
    assert {key.partition("/")[0]: one.split for key, one in there.items()} == before
    commit(there, [labelled("other.jpg")], Splits({"new": 1.0}, group=VIDEOS))
    assert there["other.jpg"].split == "new"


def test_a_group_that_was_torn_before_it_was_one_goes_where_most_of_it_is() -> None:
    there = {str(n): row(str(n), key=f"v/{n}", split=split) for n, split in enumerate(["b", "a", "b", "a", "b"])}
    commit(there, [labelled("v/9")], Splits(group="^v"))
    assert there["v/9"].split == "b"


# ---------------------------------------------------------------- stratified


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from(["cat", "cat", "cat", "dog", "owl"]), max_size=40), max_size=5),
    st.sampled_from([{"train": 0.8, "val": 0.1, "test": 0.1}, {"a": 0.6, "b": 0.4}]),
)
def test_each_labels_share_is_right_within_two_objects_after_every_commit(
    batches: list[list[str]], shares: Mapping[str, float]
) -> None:
    there: dict[str, Row] = {}
    splits = Splits(shares, stratify=True)
    for number, batch in enumerate(batches):
        commit(there, [labelled(f"{number}/{n}", label) for n, label in enumerate(batch)], splits)
        for counts in by_label(there.values()).values():
            for name, share in shares.items():
                assert abs(counts[name] - share * counts.total()) <= 2


def test_objects_of_several_labels_are_divided_within_two_objects_a_label() -> None:
    labels = ["cat", "dog", "owl", "elk", "ant"]
    rows = [labelled(str(n), *(label for i, label in enumerate(labels) if n % (i + 2) == 0)) for n in range(500)]
    made = assign(rows, Splits(stratify=True), Known())
    for counts in by_label(made).values():
        assert all(abs(counts[name] - share * counts.total()) <= 2 for name, share in Splits().shares.items())
    sizes = Counter(one.split for one in made)
    assert all(abs(sizes[name] - share * 500) <= 5 for name, share in Splits().shares.items())


def test_a_rare_label_is_in_every_split_where_the_hash_would_leave_it_out() -> None:
    rows = [labelled(f"cat{n}", "cat") for n in range(190)] + [labelled(f"owl{n}", "owl") for n in range(10)]
    hashed, stratified = (by_label(assign(rows, Splits(stratify=on), Known())) for on in (False, True))
    assert stratified["owl"] == {"train": 8, "val": 1, "test": 1}
    assert hashed["owl"] != stratified["owl"]


@given(st.permutations(range(30)))
def test_stratified_the_order_of_the_rows_says_nothing(order: Sequence[int]) -> None:
    rows = [labelled(str(n), "cat" if n % 3 else "dog") for n in range(30)]
    splits = Splits(stratify=True)
    expected = {one.key: one.split for one in assign(rows, splits, Known())}
    assert {one.key: one.split for one in assign([rows[n] for n in order], splits, Known())} == expected


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("shares", "group", "told"),
    [
        ({"train": 0.8, "test": 0.1}, None, "shares: must add up to 1, as in { train = 0.9, test = 0.1 } (found 0.9)"),
        ({}, None, "shares: must add up to 1, as in { train = 0.9, test = 0.1 } (found 0)"),
        ({"train": 1.1, "test": -0.1}, None, "shares.test: a share must be more than 0 (found test = -0.1)"),
        ({"train": 1.0, "test": 0.0}, None, "shares.test: a share must be more than 0 (found test = 0.0)"),
        ({"Train": 1.0}, None, "shares.Train: a split's name is of a-z, 0-9, _ and - (found 'Train')"),
        ({"a/b": 1.0}, None, "shares.a/b: a split's name is of a-z, 0-9, _ and - (found 'a/b')"),
        ({"train": float("nan")}, None, "shares.train: a share must be more than 0 (found train = nan)"),
        ({"train": 1.0}, "(", "group: must be a regular expression: missing ), unterminated subpattern"),
        ({"train": 1.0}, "[a-z]*", "group: must not match the empty text, or all keys are one group"),
    ],
)
def test_what_divides_nothing_is_refused(shares: dict[str, float], group: str | None, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        Splits(shares, group)


def test_shares_may_be_off_by_what_floats_are_off() -> None:
    assert Splits({"train": 0.7, "val": 0.2, "test": 0.1}).hashed("x")
    assert sum((0.7, 0.2, 0.1)) != 1
