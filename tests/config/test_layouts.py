"""What `[datasets.NAME]` says of objects is checked when it is loaded, and every refusal names its field."""

from collections.abc import Callable
from typing import Any

import pytest

from syncd.config import Config
from tests.config.conftest import BASE

Problems = Callable[..., dict[str, str]]
Load = Callable[..., Config]


@pytest.mark.parametrize(
    ("lines", "field", "said"),
    [
        ('sidecar = "x.json"', "sidecar", "{stem}.json"),
        ('sidecar = "../{stem}.json"', "sidecar", "a folder below"),
        ('sidecar = "{stem}.json"', "", "needs `suffixes`"),
        ('members = { left = "left.jpg" }', "members", "{group}"),
        ('members = { left = "{group}", right = "{group}" }', "members", "another key"),
        ('members = { image = "{group}.jpg" }\noptional_members = ["image"]', "", "not in optional_members"),
        ('members = { image = "{group}.jpg" }\noptional_members = ["x"]', "", "none of `members`"),
        ('members = { sidecar = "{group}.jpg" }', "members", "name of syncd's own"),
        ('members = { left = "{group}.jpg" }', "label_config", "'image'"),
        ('manifest = "/x.jsonl"', "manifest", "relative to the bucket"),
        ('manifest = "*.txt"\nmembers = { image = "{group}.jpg" }', "", "choose one"),
        ("min_size = -1", "min_size", "0"),
        ("min_size = 5\nmax_size = 4", "", "must not be below"),
        ('suffixes = [""]', "suffixes.0", "1 character"),
        ('text_over_limit = "drop"', "text_over_limit", "'cut'"),
        ("key_pattern = '('", "key_pattern", "regular expression"),
        ("key_pattern = '^teams/'", "key_pattern", "(?P<dataset>"),
        ("key_pattern = '^(?P<dataset>[a-z]+)/'\ntitle = 'Teams'", "title", "{dataset}"),
        ("most = 0", "most", "1"),
    ],
)
def test_what_cannot_work_is_told_with_its_field(problems: Problems, lines: str, field: str, said: str) -> None:
    found = problems(BASE + lines)
    name = f"datasets.fruits.{field}".rstrip(".")
    assert said in found[name], found


def test_templates_are_put_apart_and_are_no_table_of_their_own(load: Load, problems: Problems) -> None:
    config = load(BASE + "key_pattern = '^(?P<dataset>[a-z]+)/'")
    assert (list(config.datasets), list(config.templates)) == ([], ["fruits"])
    assert "key_pattern" in problems(BASE + "[templates.x]")["templates"]


def test_one_key_or_glob_needs_no_list(load: Load) -> None:
    lines = 'members = { image = "{group}.jpg", depth = ["{group}.png", "{group}.tif"] }'
    assert load(BASE + lines).datasets["fruits"].members == {
        "image": ["{group}.jpg"],
        "depth": ["{group}.png", "{group}.tif"],
    }
    assert load(BASE + 'manifest = "*.csv"').datasets["fruits"].manifest == ["*.csv"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", {"min_size": 1, "max_size": None}),
        ("min_size = 0\nmax_size = 10", {"min_size": 0, "max_size": 10}),
    ],
)
def test_an_empty_object_is_none_unless_asked_for(load: Load, lines: str, expected: dict[str, Any]) -> None:
    limits = load(BASE + lines).datasets["fruits"].layout("datasets.fruits").limits
    assert {"min_size": limits.min_size, "max_size": limits.max_size} == expected
