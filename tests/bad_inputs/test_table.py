"""The table of bad inputs in `tests/README.md` is whole, and what it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
ROWS = [line.split(" | ") for line in (TESTS / "README.md").read_text("utf-8").splitlines() if re.match(r"\| \d", line)]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::([\w:]+)`", (TESTS / "README.md").read_text("utf-8"))))


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of a file's tests, read and not run."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    scopes = [("", tree.body), *((f"{c.name}::", c.body) for c in tree.body if isinstance(c, ast.ClassDef))]
    return frozenset(
        scope + node.name
        for scope, body in scopes
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_is_named_is_there(file: str) -> None:
    assert {name for named, name in NAMED if named == file} <= names_in(file)


def test_each_of_the_52_rows_names_its_tests_or_says_what_is_not_yet_so() -> None:
    assert [int(row[0].strip("| ")) for row in ROWS] == list(range(1, 53))
    for row in ROWS:
        assert len(row) == 4, row[0]
        assert "::test_" in row[3] or "not yet: " in row[3], row[0]


def test_every_test_of_this_folder_stands_in_the_table() -> None:
    here = {f"bad_inputs/{path.name}" for path in Path(__file__).parent.glob("test_*.py")} - {
        "bad_inputs/test_table.py"
    }
    for file in here:
        missing = names_in(file) - {name for named, name in NAMED if named == file}
        assert missing <= {"test_any_other_address_is_taken"}, file
