"""Rows survive the way into the table and back, whatever is in them."""

from dataclasses import fields, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.model import Row, RowStatus
from syncd.snapshots.schema import SCHEMA, to_rows, to_table
from syncd.snapshots.times import canonical, parse_time, time_text

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
STORED = st.none() | TIMES.map(time_text)
ROWS = st.builds(
    Row,
    **{field.name: TEXT if field.type == "str" or field.type is str else st.none() | TEXT for field in fields(Row)}
    | {
        "status": st.sampled_from(RowStatus),
        "ground_truth": st.booleans(),
        "retired": st.booleans(),
        "labels": st.lists(TEXT).map(tuple),
        "lead_time": st.none() | st.floats(allow_nan=False),
        "created_at": STORED,
        "updated_at": STORED,
    },
)


@settings(deadline=None)
@given(st.lists(ROWS, max_size=5))
def test_rows_come_back_exactly(rows: list[Row]) -> None:
    assert to_rows(to_table(rows).to_pylist()) == rows


@settings(deadline=None)
@given(ROWS, TEXT)
def test_what_is_stored_is_canonical_and_stays_so(row: Row, text: str) -> None:
    once = canonical(replace(row, created_at=text))
    assert canonical(once) == once
    assert to_rows(to_table([replace(row, created_at=text)]).to_pylist()) == [once]


@given(TIMES, st.integers(-12 * 60, 14 * 60))
def test_an_instant_is_the_same_in_any_zone(at: datetime, minutes: int) -> None:
    sign, left = ("-" if minutes < 0 else "+"), abs(minutes)
    local = at.replace(tzinfo=None).isoformat() + f"{sign}{left // 60:02}:{left % 60:02}"
    found = parse_time(local)
    assert found is None or (at - found).total_seconds() == minutes * 60


def test_columns_are_those_of_a_row_and_each_is_described() -> None:
    assert SCHEMA.names == [field.name for field in fields(Row)]
    assert all(field.metadata[b"description"] for field in SCHEMA)


def test_columns_may_be_null_where_the_row_may_be_none() -> None:
    nullable = {field.name for field in fields(Row) if "None" in str(field.type)}
    assert {field.name for field in SCHEMA if field.nullable} == nullable
