"""CSV, JSON lines, Parquet and Hugging Face folders: read back by their own libraries, equal to the rows."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import datasets
import deltalake
import duckdb
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from syncd.domain.labels import label_config
from syncd.domain.model import RowStatus
from syncd.exports import shards
from syncd.exports.plain import json_text
from syncd.exports.tables import _unformulated
from tests.exports.texts import ENTITIES, Texts, everything, mark

FORMATS = ("csv", "jsonl", "parquet", "huggingface")


def text_of(texts: Texts, id_: str) -> str:
    return str(json.loads(next(one.row.data for one in texts.rows if one.row and one.row.annotation_id == id_))["text"])


# ---------------------------------------------------------------- CSV


def as_pandas_reads(home: Path) -> dict[str, dict[str, str]]:
    """Rows by annotation id, read as the module says."""
    frame = pd.read_csv(home / "out" / "annotations.csv", dtype=str, keep_default_na=False)
    return {
        row["annotation_id"]: {str(name): str(cell) for name, cell in row.items()} for row in frame.to_dict("records")
    }


async def test_pandas_reads_csv_as_it_was(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    await texts.export("csv")
    rows = as_pandas_reads(tmp_path)
    first, second = rows["1"], rows["2"]
    assert first["data.text"] == text_of(texts, "1")
    assert (first["answer.mood"], first["answer.stars"], first["answer.note"]) == ("good", "4", '=1+1, "quoted"')
    assert json.loads(first["answer.topics"]) == ["work", "play"]
    marks = [(one["words"], one["labels"], one["start"]) for one in json.loads(first["answer.label"])]
    start = first["data.text"].index("Oslo")
    assert marks == [("Ada", ["person"], 0), ("Oslo", ["home town"], start)]
    assert (second["key"], second["data.text"], second["answer.mood"], second["answer.topics"]) == (
        "2.007",
        "NA",
        "bad",
        "",
    )
    assert (first["split"], first["lead_time"], first["created_at"]) == ("train", "1.25", "2026-11-20T18:00:00Z")
    assert json.loads(first["labels"]) == ["person", "home town", "good", "work", "play"]
    assert {row["ground_truth"] for row in rows.values()} == {"true", "false"}


async def test_csv_tells_an_empty_text_from_none(tmp_path: Path) -> None:
    texts = Texts(tmp_path, label_config("text-classification", ("good",)))
    texts.add("1", "", annotator=None)
    await texts.export("csv")
    frame = pl.read_csv(tmp_path / "out" / "annotations.csv", infer_schema=False)
    assert frame["data.text"].to_list() == [""]
    assert frame["annotator"].to_list() == [None]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), min_size=1, max_size=5))
def test_any_text_survives_csv(tmp_path: Path, cells: list[str]) -> None:
    from pyarrow import csv as arrow_csv  # noqa: PLC0415

    path = tmp_path / "any.csv"
    arrow_csv.write_csv(pa.table({"a": cells}), path, arrow_csv.WriteOptions(quoting_style="needed"))
    assert pd.read_csv(path, dtype=str, keep_default_na=False)["a"].tolist() == cells
    assert [row[0] for row in csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))][1:] == cells


async def test_csv_is_safe_for_spreadsheets_on_request(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    await texts.export("csv", options={"spreadsheet": "yes"})
    rows = as_pandas_reads(tmp_path)
    assert rows["1"]["answer.note"] == '\'=1+1, "quoted"'
    assert rows["2"]["data.text"] == "NA"
    assert [_unformulated(cell) for cell in ("@a", "-1", "a=1", -1.0, None)] == ["'@a", "'-1", "a=1", -1.0, None]


# ---------------------------------------------------------------- JSON lines


async def test_json_lines_hold_every_column(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    snapshot = await texts.commit()
    await texts.export("jsonl")
    lines = (tmp_path / "out" / "annotations.jsonl").read_text(encoding="utf-8").splitlines()
    found = {row["annotation_id"]: row for row in map(json.loads, lines)}
    for row in snapshot.rows():
        made = found[row["annotation_id"]]
        regions = made.pop("regions")
        assert len(regions) == len(row["result"])
        assert made == {name: json.loads(json_text(value)) for name, value in row.items()}
    assert found["1"]["created_at"] == "2026-11-20T18:00:00Z"


# ---------------------------------------------------------------- Parquet


async def published(tmp_path: Path, **more: Any) -> tuple[Path, Any]:
    """A version as Parquet, and its rows as the snapshot gives them."""
    texts = everything(tmp_path)
    await texts.export("parquet", **more)
    rows = (await texts.commit()).to_arrow().sort_by("annotation_id")
    return tmp_path / "out", rows.to_pylist()


async def test_every_reader_of_parquet_gives_the_rows(tmp_path: Path) -> None:
    out, rows = await published(tmp_path)
    files = f"{out}/data/*.parquet"
    assert by_id(parquet.read_table(out / "data").to_pylist()) == rows
    assert by_id(pl.read_parquet(files).to_dicts()) == rows
    assert by_id(duckdb.read_parquet(files).to_arrow_table().to_pylist()) == rows
    frame = pd.read_parquet(out / "data").sort_values("annotation_id")
    assert pa.Table.from_pandas(frame, preserve_index=False)["data"].to_pylist() == [row["data"] for row in rows]
    assert frame["created_at"].iloc[0] == datetime(2026, 11, 20, 18, tzinfo=UTC)


async def test_readers_of_delta_lake_give_the_rows(tmp_path: Path) -> None:
    out, rows = await published(tmp_path)
    table = deltalake.DeltaTable(out)
    assert (table.version(), table.protocol().min_reader_version, table.protocol().min_writer_version) == (0, 1, 2)
    assert by_id(table.to_pyarrow_table().to_pylist()) == rows
    assert by_id(pl.read_delta(str(out)).to_dicts()) == rows
    assert table.metadata().created_time == 1_800_000_000_000
    assert pa.schema(table.schema().to_arrow()).names == list(rows[0])


async def test_load_dataset_opens_published_parquet_by_split(tmp_path: Path) -> None:
    out, rows = await published(tmp_path)
    found = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: part.num_rows for split, part in found.items()} == {"train": 1, "val": 3}
    assert by_id([row for part in found.values() for row in part]) == rows
    streamed = datasets.load_dataset(str(out), split="train", streaming=True)
    assert [row["annotation_id"] for row in streamed] == ["1"]


async def test_lineage_lies_beside_parquet(tmp_path: Path) -> None:
    out, rows = await published(tmp_path)
    lines = [json.loads(line) for line in (out / "lineage.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["annotation"]["id"] for line in lines] == [row["annotation_id"] for row in rows]
    assert lines[1]["prediction"] == {"id": "9", "model_version": "m1"}
    assert str(tmp_path) not in json.dumps(lines)


async def test_large_versions_are_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "GROUP_ROWS", 600)
    monkeypatch.setattr(shards, "GROUPS", 2)
    texts = Texts(tmp_path, ENTITIES)
    for number in range(3_000):
        texts.add(str(number), f"text {number}", split="val" if number % 3 == 0 else "train")
    await texts.export("parquet")
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert [(file.name, parquet.read_metadata(file).num_row_groups) for file in files] == [
        ("train-00000.parquet", 2),
        ("train-00001.parquet", 2),
        ("val-00000.parquet", 2),
    ]
    assert len(deltalake.DeltaTable(tmp_path / "out").to_pyarrow_table()) == 3_000
    assert (
        by_id(pl.read_parquet(files).to_dicts())
        == (await texts.commit()).to_arrow().sort_by("annotation_id").to_pylist()
    )


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_version_without_submitted_answers_is_exported_empty(tmp_path: Path, format_: str) -> None:
    texts = Texts(tmp_path)
    texts.add("1", "later", status=RowStatus.DRAFT)
    await texts.export(format_)
    if format_ in {"parquet", "huggingface"}:
        found = pd.read_parquet(tmp_path / "out" / "data" / "train-00000.parquet")
        assert (len(found), "annotation_id" in found.columns) == (0, True)
    else:
        assert len(next((tmp_path / "out").glob("annotations.*")).read_bytes().splitlines()) == (format_ == "csv")


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["annotation_id"])


# ---------------------------------------------------------------- Hugging Face


async def test_hugging_face_gets_typed_features(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    await texts.export("huggingface")
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    features, (first,) = found["train"].features, list(found["train"])
    assert features["mood"] == datasets.ClassLabel(names=["good", "bad"])
    assert features["topics"] == datasets.List(datasets.ClassLabel(names=["work", "play"]))
    assert first["text"] == text_of(texts, "1")
    assert (features["mood"].int2str(first["mood"]), first["topics"], first["stars"]) == ("good", [0, 1], 4.0)
    names = features["ner_tags"].feature.names
    tagged = [(token, names[tag]) for token, tag in zip(first["tokens"], first["ner_tags"], strict=True) if tag]
    assert tagged == [("Ada", "B-person"), ("Oslo", "B-home town")]
    assert [first["text"][one["start"] : one["end"]] for one in first["spans"]] == ["Ada", "Oslo"]
    assert len(orjson.loads(first["regions"])) == 6
    assert [row["mood"] for row in found["val"]] == [1, 0]


async def test_hugging_face_gets_one_label_column_for_one_question(tmp_path: Path) -> None:
    texts = Texts(tmp_path, label_config("text-classification", ("good", "bad")))
    head = {"id": "c", "type": "choices", "from_name": "choice", "to_name": "text"}
    texts.add("1", "fine", head | {"value": {"choices": ["bad"]}})
    texts.add("2", "no answer")
    await texts.export("huggingface")
    found = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.features["label"].names == ["good", "bad"]
    assert found["label"][:] == [1, None]


async def test_hugging_face_gets_boxes_and_is_told_what_is_no_box(tmp_path: Path) -> None:
    xml = """<View><Image name="i" value="$image"/>
      <RectangleLabels name="b" toName="i"><Label value="car"/></RectangleLabels>
      <PolygonLabels name="p" toName="i"><Label value="road"/></PolygonLabels></View>"""
    texts = Texts(tmp_path, xml)
    size = {"original_width": 200, "original_height": 100, "to_name": "i"}
    place = {"x": 10, "y": 20, "width": 50, "height": 25, "rotation": 5, "rectanglelabels": ["car"]}
    outline = {"points": [[0, 0], [10, 0], [10, 10]], "polygonlabels": ["road"]}
    box = size | {"id": "1", "type": "rectanglelabels", "from_name": "b", "value": place}
    texts.add("1", "", box, size | {"id": "2", "type": "polygonlabels", "from_name": "p", "value": outline})
    done = await texts.export("huggingface")
    assert done.lost == {
        "the rotation of a box: in `regions` alone": 1,
        "a shape that is no box: in `regions` alone": 1,
    }
    (row,) = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert row["objects"] == {"bbox": [[20.0, 20.0, 100.0, 25.0]], "category": [0]}
    assert (row["width"], row["height"], row["uri"]) == (200, 100, "s3://texts/1.txt")


async def test_marks_of_different_texts_stay_with_their_text(tmp_path: Path) -> None:
    xml = """<View><Text name="q" value="$question"/><Text name="a" value="$answer"/>
      <Labels name="in_q" toName="q"><Label value="x"/></Labels>
      <Labels name="in_a" toName="a"><Label value="x"/></Labels>
    </View>"""
    texts = Texts(tmp_path, xml)
    question, answer = "👍 who?", "👍👍 Ada"
    marks = [
        mark(question, "who", "x", utf16=True) | {"from_name": "in_q", "to_name": "q"},
        mark(answer, "Ada", "x", utf16=True) | {"from_name": "in_a", "to_name": "a"},
    ]
    texts.add("1", "", *marks, data=json.dumps({"question": question, "answer": answer}))
    await texts.export("csv")
    (row,) = pd.read_csv(tmp_path / "out" / "annotations.csv", dtype=str).to_dict("records")
    found = [json.loads(row[name])[0] for name in ("answer.in_q", "answer.in_a")]
    assert [(one["words"], one["start"], one["end"]) for one in found] == [("who", 2, 5), ("Ada", 3, 6)]
