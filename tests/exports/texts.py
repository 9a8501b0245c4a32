"""Versions of texts for export tests: real rows in a Lance table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from syncd.domain.labels import label_config
from syncd.domain.model import JsonObject, StagedChange
from syncd.exports.run import Exported, export_snapshot
from syncd.snapshots.store import LanceSnapshots
from syncd.training.reader import open_snapshot
from syncd.training.snapshot import Snapshot
from tests.clock import FakeClock
from tests.snapshots.rows import put

ENTITIES = label_config("named-entities", ("person", "place"))
SENTIMENT = label_config("text-classification", ("good", "bad"))
BOTH = """<View>
  <Text name="text" value="$text"/>
  <Labels name="label" toName="text"><Label value="person"/><Label value="home town"/></Labels>
  <Choices name="mood" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>
  <Choices name="topics" toName="text" choice="multiple"><Choice value="work"/><Choice value="play"/></Choices>
  <Rating name="stars" toName="text" maxRating="5"/>
  <TextArea name="note" toName="text" maxSubmissions="1"/>
</View>"""


@dataclass
class Texts:
    """A dataset about texts that stand in their tasks."""

    home: Path
    xml: str = ENTITIES
    rows: list[StagedChange] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"{self.home.as_uri()}/snapshots"

    def add(self, id_: str, text: str, *regions: JsonObject, **fields: Any) -> None:
        """An answer about a text."""
        named = [region["value"].get(region["type"], []) for region in regions]
        labels = tuple(dict.fromkeys(label for found in named if isinstance(found, list) for label in found))
        known = {"bucket": "s3://texts", "key": f"{id_}.txt", "object_uri": f"s3://texts/{id_}.txt", "etag": "e"}
        made = {"task_id": id_, "labels": labels, "result": orjson.dumps(regions).decode(), "annotator": "ann@x.org"}
        data = orjson.dumps({"text": text}).decode()
        self.rows.append(put(id_, **{"data": data, "created_at": "2026-11-20T18:00:00Z", **known, **made, **fields}))

    async def commit(self, at: float = 1_800_000_000.0) -> Snapshot:
        """All rows as the next version."""
        await LanceSnapshots(self.root, clock=FakeClock(at)).commit("texts", self.rows, self.xml)
        return open_snapshot(f"{self.root}/texts")

    async def export(self, format_: str, **more: Any) -> Exported:
        """The version in a format, under `out`."""
        return export_snapshot(await self.commit(), format_, self.home / "out", **more)


def mark(text: str, words: str, label: str | list[str], *, utf16: bool = False, id_: str = "") -> JsonObject:
    """Words of a text, marked as Label Studio's editor writes it."""
    start = text.index(words)
    ends = [start, start + len(words)]
    if utf16:
        ends = [len(text[:end].encode("utf-16-le")) // 2 for end in ends]
    value = {"start": ends[0], "end": ends[1], "text": words, "labels": [label] if isinstance(label, str) else label}
    head = {"id": id_ or f"{words}-{label}", "from_name": "label", "to_name": "text", "type": "labels"}
    return head | {"value": value}


def chosen(*labels: str, control: str = "choice") -> JsonObject:
    """A choice about the whole text."""
    head = {"id": control, "from_name": control, "to_name": "text", "type": "choices"}
    return head | {"value": {"choices": list(labels)}}


def answer(kind: str, control: str, **value: Any) -> JsonObject:
    """Any other answer about the whole text."""
    return {"id": control, "from_name": control, "to_name": "text", "type": kind, "value": value}


def everything(home: Path) -> Texts:
    """Texts with every kind of answer, in two splits and none; awkward characters; two people on one task."""
    made = Texts(home, BOTH)
    first = 'Ada 👩‍🚀 met "Bob",\nin Oslo; 007\r\n=SUM(A1) \u2028 naïve, ünï|côdé'
    made.add(
        "1",
        first,
        mark(first, "Ada", "person"),
        mark(first, "Oslo", "home town", utf16=True),
        chosen("good", control="mood"),
        chosen("work", "play", control="topics"),
        answer("rating", "stars", rating=4),
        answer("textarea", "note", text=['=1+1, "quoted"']),
        split="train",
        lead_time=1.25,
    )
    prediction = '[{"from_name":"mood","to_name":"text","type":"choices","value":{"choices":["good"]}}]'
    made.add("2", "NA", chosen("bad", control="mood"), split="val", key="2.007", prediction=prediction,
             prediction_id="9", model_version="m1")  # fmt: skip
    made.add("3", "again", split="val", annotator="bob", ground_truth=True)
    made.add(
        "4",
        "again",
        chosen("good", control="mood"),
        task_id="3",
        key="3.txt",
        object_uri="s3://texts/3.txt",
        annotator=None,
        split="val",
    )
    return made
