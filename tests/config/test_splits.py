"""`[datasets.NAME.splits]`: what it becomes, and how one that divides nothing is explained."""

from collections.abc import Callable

import pytest

from syncd.domain.splits import Splits
from tests.config.conftest import BASE, Load


def test_splits_are_80_10_10_by_the_hash_of_the_key_unless_told_otherwise(load: Load) -> None:
    assert load(BASE).datasets["fruits"].splits.rules == Splits({"train": 0.8, "val": 0.1, "test": 0.1})


def test_shares_keep_their_order(load: Load) -> None:
    text = f"{BASE}[datasets.fruits.splits]\nshares = {{ test = 0.2, train = 0.8 }}\ngroup = '^[^/]+'\nstratify = true"
    rules = load(text).datasets["fruits"].splits.rules
    assert rules == Splits({"test": 0.2, "train": 0.8}, "^[^/]+", stratify=True)
    assert list(rules.shares) == ["test", "train"]


@pytest.mark.parametrize(
    ("line", "field", "told"),
    [
        ("shares = { train = 0.8 }", "shares", "must add up to 1, as in { train = 0.9, test = 0.1 } (found 0.8)"),
        ("shares = { a = 2, b = -1 }", "shares", "a share must be more than 0 (found b = -1.0)"),
        ("shares = { 'a b' = 1 }", "shares", "a split's name is of a-z, 0-9, _ and - (found 'a b')"),
        ("group = '('", "group", "must be a regular expression: missing )"),
        ("group = '.*'", "group", "must not match the empty text"),
        ("share = { a = 1 }", "share", "is no field; did you mean shares?"),
    ],
)
def test_what_divides_nothing_is_one_clear_line(
    problems: Callable[..., dict[str, str]], line: str, field: str, told: str
) -> None:
    found = problems(f"{BASE}[datasets.fruits.splits]\n{line}")
    assert list(found) == [f"datasets.fruits.splits.{field}"]
    assert told in found[f"datasets.fruits.splits.{field}"]
