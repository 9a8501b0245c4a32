"""Polars and DuckDB give the rows of a version, and nothing else."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl
import pytest

from syncd.domain.errors import ConfigError, Rejected
from tests.training.loaders.conftest import Made
from tests.training.loaders.missing import blocked

QUERIES: list[dict[str, Any]] = [
    {},
    {"status": "all"},
    {"status": "skipped"},
    {"split": "it's"},
    {"split": "train", "retired": False},
    {"tasks": "newest"},
    {"tasks": "all", "split": "train"},
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_polars_holds_the_rows_of_a_query(made: Made, query: dict[str, Any]) -> None:
    frame = made.snapshot.to_polars(**query)
    assert isinstance(frame, pl.DataFrame)
    assert frame["annotation_id"].sort().to_list() == made.ids(**query)
    assert frame.to_dicts() == made.snapshot.to_arrow(**query).to_pylist()


def test_polars_columns_are_typed(made: Made) -> None:
    frame = made.snapshot.to_polars(columns=["created_at", "labels", "retired"])
    assert frame.schema == {
        "created_at": pl.Datetime("us", "UTC"),
        "labels": pl.List(pl.String),
        "retired": pl.Boolean,
    }


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_sql_sees_the_rows_of_a_query(made: Made, query: dict[str, Any]) -> None:
    found = made.snapshot.sql("SELECT annotation_id FROM snapshot ORDER BY 1", **query).fetchall()
    assert [id_ for (id_,) in found] == made.ids(**query)


@pytest.mark.parametrize(
    "where",
    [
        "annotation_id = 'a7'",
        "annotation_id IN ('a7', 'a13', 'a41', 'none')",
        "key LIKE 'd/ü 1%'",
        "key = 'd/ü 41.jpg' OR retired",
        "NOT retired AND lead_time > 3.5 AND lead_time <= 20",
        "lead_time IS NULL",
        "lead_time IS NOT NULL AND annotator IS NULL",
        "created_at >= '2026-11-20 18:30:00+00'",
        "list_contains(labels, 'dog')",
        "len(labels) = 0 OR split = 'it''s'",
        "result ->> '$[0].n' = '41'",
        "split <> 'train' AND annotation_id > 'a3'",
        "false",
    ],
)
def test_a_filter_finds_the_same_in_the_table_and_in_memory(made: Made, where: str) -> None:
    statement = f"SELECT annotation_id FROM snapshot WHERE {where} ORDER BY 1"  # noqa: S608
    memory = duckdb.connect()
    memory.register("snapshot", made.snapshot.to_arrow())
    assert made.snapshot.sql(statement).fetchall() == memory.sql(statement).fetchall()


def test_sql_groups_joins_and_answers_in_many_forms(made: Made) -> None:
    counts = made.snapshot.sql("SELECT unnest(labels) AS label, count(*) AS n FROM snapshot GROUP BY 1 ORDER BY 1")
    expected = {"cat": 0, "dog": 0}
    for row in made.snapshot:
        for label in row["labels"]:
            expected[label] += 1
    assert counts.fetchall() == [(label, n) for label, n in expected.items() if n]
    twice = "SELECT count(*) FROM snapshot a JOIN snapshot b USING (task_id)"
    tasks = [row["task_id"] for row in made.snapshot]
    assert made.snapshot.sql(twice).fetchall() == [(sum(tasks.count(task) for task in tasks),)]
    first = "SELECT annotation_id, created_at FROM snapshot WHERE created_at IS NOT NULL ORDER BY 1 LIMIT 1"
    assert made.snapshot.sql(first).pl().rows() == [("a1", datetime(2026, 11, 20, 18, 1, tzinfo=UTC))]


def test_only_the_columns_asked_for_are_there(made: Made) -> None:
    relation = made.snapshot.sql("SELECT * FROM snapshot", columns=["key", "retired"])
    assert relation.columns == ["key", "retired"]
    with pytest.raises(duckdb.BinderException, match="task_id"):
        made.snapshot.sql("SELECT task_id FROM snapshot", columns=["key"])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('{root}/fruits/latest.json')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM 'http://127.0.0.1:1/x.csv'",
        "COPY (SELECT 1) TO '{root}/out.csv'",
        "ATTACH '{root}/out.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET python_enable_replacements = true",
        "SELECT * FROM secret",
    ],
)
def test_a_statement_reaches_nothing_but_the_rows(made: Made, statement: str) -> None:
    secret = made.snapshot.to_arrow()  # a Python variable, which DuckDB would find by its name
    with pytest.raises(duckdb.Error):
        made.snapshot.sql(statement.format(root=made.root)).fetchall()
    assert not list(made.root.glob("out.*"))
    assert secret.num_rows == len(made.snapshot)


def test_a_wrong_query_is_told(made: Made) -> None:
    snapshot: Any = made.snapshot
    ways = (snapshot.to_polars, snapshot.to_hf, snapshot.to_torch, snapshot.to_ray)
    for way in (*ways, lambda **query: snapshot.sql("SELECT 1", **query)):
        with pytest.raises(Rejected, match="no status 'done'"):
            way(status="done")
        with pytest.raises(Rejected, match="no column colour"):
            way(columns=["colour"])
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            way(colums=["key"])


@pytest.mark.parametrize(
    ("call", "module", "extra"),
    [
        ("to_polars()", "polars", "polars"),
        ("to_hf()", "datasets", "huggingface"),
        ("to_torch()", "torch", "torch"),
        ("to_ray()", "ray", "ray"),
        ("sql('SELECT 1')", "duckdb", "duckdb"),
        ("to_pandas()", "pandas", "pandas"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    made: Made, monkeypatch: pytest.MonkeyPatch, call: str, module: str, extra: str
) -> None:
    blocked(monkeypatch, module)
    with pytest.raises(ConfigError, match=rf"pip install 'syncd\[{extra}\]'.*\(found not installed\)"):
        eval(f"snapshot.{call}", {"snapshot": made.snapshot})  # noqa: S307


def test_opening_a_snapshot_loads_none_of_the_libraries(made: Made) -> None:
    from tests.training.test_reader import _python  # noqa: PLC0415

    code = f"""
import sys, syncd
snapshot = syncd.open_snapshot("{made.root}/fruits")
list(snapshot)
print([name for name in ("polars", "datasets", "torch", "ray", "duckdb", "fsspec") if name in sys.modules])
"""
    assert _python(code) == "[]\n"
