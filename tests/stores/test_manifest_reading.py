"""Manifests of every kind are read alike, and what unpacks to too much is refused before it fills the memory."""

import gzip
import io
import json
import tracemalloc
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.errors import Rejected
from syncd.stores.views.reading import rows

LIMIT = 1 << 20
ROWS = [{"id": "1", "text": "one, or two"}, {"id": "2", "text": 'a "quoted"\nline ü'}]


def parquet(table: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def read(key: str, data: bytes, *, limit: int = LIMIT, most: int = 1000) -> list[dict[str, Any]]:
    return list(rows(key, data, limit=limit, most=most))


LINES = "\n".join(map(json.dumps, ROWS)).encode()
CSV = 'id,text\r\n1,"one, or two"\r\n2,"a ""quoted""\nline ü"\r\n'.encode()
SAME = {
    "a.jsonl": LINES,
    "b.NDJSON": b"\xef\xbb\xbf" + LINES + b"\n\n",
    "c.csv": CSV,
    "d.tsv": CSV.replace(b"id,text", b"id\ttext").replace(b"1,", b"1\t").replace(b"2,", b"2\t"),
    "e.parquet": parquet(pa.Table.from_pylist(ROWS)),
    "f.jsonl.gz": gzip.compress(LINES),
    "g.csv.gz": gzip.compress(CSV[:9]) + gzip.compress(CSV[9:]),
}


@pytest.mark.parametrize("key", SAME)
def test_every_kind_says_the_same(key: str) -> None:
    assert read(key, SAME[key]) == ROWS


BAD = {
    "a.txt": (b"x", "no known kind"),
    "a.parquet.gz": (b"x", "no known kind"),
    "a.jsonl": (b'{"a": 1}\n{', "line 2"),
    "b.jsonl": (b"[]", "no JSON object"),
    "c.jsonl": (b"\xff", "UTF-8"),
    "d.jsonl.gz": (b"not packed at all", "no gzip"),
    "e.jsonl.gz": (gzip.compress(LINES)[:-9], "middle of its gzip"),
    "f.csv": (b"a,b\n1", "1 cells, its header 2"),
    "g.csv": (b"a,a\n1,2", "each once"),
    "h.csv": (b'a,b\n"1', "CSV"),
    "i.parquet": (b"PAR1", "Parquet"),
    "j.parquet": (SAME["e.parquet"][:-20], "Parquet"),
    "k.parquet": (parquet(pa.table({"x": [b"bytes"]})), "bytes"),
}


@pytest.mark.parametrize("key", BAD)
def test_what_cannot_be_read_is_refused_with_the_reason(key: str) -> None:
    data, reason = BAD[key]
    with pytest.raises(Rejected, match=reason):
        read(key, data)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(Rejected, match="manifest_rows = 1"):
        read("a.jsonl", LINES, most=1)


BOMBS = {
    "zeros.jsonl.gz": gzip.compress(b" " * (50 << 20)),
    "dictionary.parquet": parquet(pa.table({"t": pa.array(["x" * LIMIT] * 900).dictionary_encode()})),
    "runs.parquet": parquet(pa.table({"t": ["x" * 1000] * 900_00}), compression="zstd"),
    "plain.parquet": parquet(pa.table({"t": ["x" * 50_000] * 900}), use_dictionary=False, compression="zstd"),
}


@pytest.mark.parametrize("key", BOMBS)
def test_a_bomb_is_cut_at_the_limit(key: str) -> None:
    assert len(BOMBS[key]) < 3 * LIMIT
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(Rejected, match="manifest_"):
        read(key, BOMBS[key], most=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * LIMIT
    assert pa.total_allocated_bytes() - before < 20 * LIMIT


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz"]))
def test_any_bytes_are_rows_or_refused(data: bytes, key: str) -> None:
    try:
        found = read(key, data)
    except Rejected:
        return
    assert all(isinstance(row, dict) for row in found)


def test_times_and_numbers_of_parquet_become_json() -> None:
    table = pa.table({"n": [1], "x": [0.5], "t": pa.array([0], pa.timestamp("s")), "l": [["a", "b"]], "z": [None]})
    (row,) = read("a.parquet", parquet(table))
    assert json.loads(json.dumps(row)) == {"n": 1, "x": 0.5, "t": "1970-01-01T00:00:00", "l": ["a", "b"], "z": None}
