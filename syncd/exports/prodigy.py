"""Prodigy: one example for each answer in `examples.jsonl`, as `prodigy db-in DATASET examples.jsonl` takes them.

By what people did: `spans` with `start`, `end`, `label` in a `text`; `spans` of an `image` with `type` rect or polygon
and their `points` in pixels; `audio_spans` in seconds; `options` and `accept` for choices; typed text under the name
of its control. A submitted answer is `accept`, a skipped one `ignore`, an invalid one `reject`; drafts are left out.
`_annotator_id` is who answered. `_input_hash` and `_task_hash` are not written: Prodigy sets them when it reads the
file, by a rule of its own version. https://prodi.gy/docs/api-interfaces

Told as lost: what Prodigy has no words for (ellipses, keypoints and masks in images, rotation, ratings, relations …).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from syncd.domain.model import JsonObject, RowStatus
from syncd.domain.regions import Box, Choice, Polygon, Region, Segment, Span, Text
from syncd.domain.regions.offsets import code_points
from syncd.exports.base import Format, Item, Source
from syncd.exports.plain import json_text
from syncd.exports.texts import asked, link, text_under, text_variable, value_at

_ANSWERS = {RowStatus.SUBMITTED: "accept", RowStatus.SKIPPED: "ignore", RowStatus.INVALID: "reject"}
_MEDIA = {"image", "audio", "video", "text"}


def _write(source: Source, out: Path) -> None:
    with (out / "examples.jsonl").open("wb") as file:
        for item in source.items():
            if item.row["status"] == RowStatus.DRAFT:
                source.lose("a draft")
            else:
                file.write(json_text(_example(source, item)) + b"\n")


def _example(source: Source, item: Item) -> JsonObject:
    made: JsonObject = _shown(source, item)
    for region in item.regions:
        writer = _WRITERS.get(type(region))
        if writer is None or not writer(source, item, region, made):
            source.lose(f"a {type(region).__name__.lower()}, which Prodigy has no words for")
    meta = {"key": item.row["key"], "snapshot": f"{source.snapshot.dataset}@{source.snapshot.name}"}
    made |= {"answer": _ANSWERS[RowStatus(item.row["status"])], "meta": meta}
    return made | ({"_annotator_id": item.row["annotator"]} if item.row["annotator"] else {})


def _shown(source: Source, item: Item) -> JsonObject:
    kind = source.config.media_kind if source.config else "text"
    text = value_at(item.row["data"] or {}, text_variable(source.config))
    if kind != "text":
        return {kind: link(source, item)}
    return {"text": text if isinstance(text, str) else ""}


def _span(source: Source, item: Item, region: Any, made: JsonObject) -> bool:
    text = text_under(source.config, item.row["data"], region)
    if text is None or text != made.get("text") or region.label is None:
        return False
    start, end = code_points(text, region)
    made.setdefault("spans", []).append({"start": start, "end": end, "label": region.label})
    return True


def _segment(_source: Source, _item: Item, region: Any, made: JsonObject) -> bool:
    made.setdefault("audio_spans", []).append({"start": region.start, "end": region.end, "label": region.label})
    return True


def _box(source: Source, _item: Item, region: Any, made: JsonObject) -> bool:
    if region.rotation:
        source.lose("the rotation of a box")
    x, y, width, height = region.x, region.y, region.width, region.height
    corners = [[x, y], [x, y + height], [x + width, y + height], [x + width, y]]
    place = {"x": x, "y": y, "width": width, "height": height, "center": [x + width / 2, y + height / 2]}
    _in_image(region, made, {"type": "rect", "points": corners, **place})
    return True


def _polygon(_source: Source, _item: Item, region: Any, made: JsonObject) -> bool:
    _in_image(region, made, {"type": "polygon", "points": [list(point) for point in region.points]})
    return True


def _in_image(region: Any, made: JsonObject, shape: JsonObject) -> None:
    made |= {"width": region.size.width, "height": region.size.height}
    made.setdefault("spans", []).append({"label": region.label, **shape})


def _choice(source: Source, _item: Item, region: Any, made: JsonObject) -> bool:
    control = source.config.controls.get(region.control) if source.config else None
    labels = dict.fromkeys((*(control.labels if control else ()), *region.labels))
    known = [option["id"] for option in made.get("options", [])]
    made.setdefault("options", []).extend({"id": label, "text": label} for label in labels if label not in known)
    made.setdefault("accept", []).extend(region.labels)
    return True


def _typed(_source: Source, _item: Item, region: Any, made: JsonObject) -> bool:
    made[region.control] = "\n".join(region.text)
    return True


_Writer = Callable[[Source, Item, Any, JsonObject], bool]
_WRITERS: Mapping[type[Region], _Writer] = {
    Span: _span,
    Segment: _segment,
    Box: _box,
    Polygon: _polygon,
    Choice: _choice,
    Text: _typed,
}


def _misfit(source: Source) -> str | None:
    if source.config is None or source.config.media_kind in _MEDIA:
        return None
    return f"it shows texts, images, audio or video; this version asks {asked(source.config)}"


FORMAT = Format("prodigy", "Prodigy's examples as JSON lines", _write, _misfit, per_task=False)
