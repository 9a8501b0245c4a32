"""Argilla 2: records in `records.jsonl` and the dataset's settings in `settings.json`.

    settings = rg.Settings.from_json("settings.json")
    dataset = rg.Dataset("fruits", settings=settings).create()
    dataset.records.log([rg.Record.from_dict(json.loads(line)) for line in open("records.jsonl", encoding="utf-8")])

A control of the label config is a question: Choices a label or multi-label question, Labels on a text a span question,
Rating a rating question, TextArea a text question. Answers come as suggestions, with who answered as their agent:
Argilla ties responses to ids of its own users. With the option `user_id=UUID` they are that user's responses. A
record's id is its task's id, so that logging the next version moves records on instead of doubling them.
https://docs.argilla.io/latest/how_to_guides/import_export/

Names are lower case with `_` for what Argilla does not take. Told as lost: what Argilla has no question for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from syncd.domain.labels.configs import Control, LabelConfig, ObjectTag
from syncd.domain.model import JsonObject
from syncd.domain.regions import Choice, Number, Region, Span, Text
from syncd.domain.regions.offsets import code_points
from syncd.exports.base import Format, Item, Source
from syncd.exports.plain import json_text
from syncd.exports.texts import asked, link, per_region, single_choice, text_under, value_at

_FIELDS = {"text": "text", "hypertext": "text", "image": "image"}
_METADATA = ("key", "object_uri", "annotation_id", "annotator", "split", "snapshot")


@dataclass(frozen=True, slots=True)
class _Question:
    """A control as Argilla asks it. `kind` is the type of its settings."""

    name: str
    control: Control
    kind: str
    settings: JsonObject


def _write(source: Source, out: Path) -> None:
    config = source.config
    assert config is not None  # noqa: S101 - the misfit says so
    questions = {question.control.name: question for question in _questions(source, config)}
    (out / "settings.json").write_bytes(json_text(_settings(config, questions)) + b"\n")
    with (out / "records.jsonl").open("wb") as file:
        for task_id, items in groupby(source.items(), key=lambda item: item.row["task_id"]):
            *others, item = items
            if others:
                source.lose("another answer to the same task", len(others))
            file.write(json_text(_record(source, config, questions, task_id, item)) + b"\n")


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())


# ---------------------------------------------------------------- settings


def _fields(config: LabelConfig) -> dict[str, ObjectTag]:
    """Field name to what is shown, for the kinds that Argilla shows."""
    shown = (tag for tag in config.objects.values() if tag.kind in _FIELDS)
    return {_name(tag.variable): tag for tag in shown if tag.variable}


def _questions(source: Source, config: LabelConfig) -> Iterator[_Question]:
    for control in config.controls.values():
        kind = _kind(config, control)
        if kind:
            yield _Question(_name(control.name), control, kind, _question_settings(source, config, control, kind))


def _kind(config: LabelConfig, control: Control) -> str | None:
    shown = config.objects.get(control.to_name[0])
    match control.kind:
        case "choices" if not per_region(control):
            return "label_selection" if single_choice(control) else "multi_label_selection"
        case "labels" if shown and shown.kind == "text" and shown.inline:
            return "span"
        case "rating" if not per_region(control):
            return "rating"
        case "textarea" if not per_region(control):
            return "text"
    return None


def _question_settings(source: Source, config: LabelConfig, control: Control, kind: str) -> JsonObject:
    labels = [{"value": label, "text": label} for label in (source.labels if control.dynamic else control.labels)]
    match kind:
        case "span":
            field = _name(config.objects[control.to_name[0]].variable or "text")
            return {"type": kind, "field": field, "options": labels, "allow_overlapping": True}
        case "rating":
            most = int(control.number("maxrating") or 5)
            return {"type": kind, "options": [{"value": value} for value in range(1, most + 1)]}
        case "text":
            return {"type": kind, "use_markdown": False}
    return {"type": kind, "options": labels}


def _settings(config: LabelConfig, questions: dict[str, _Question]) -> JsonObject:
    fields = [(name, {"type": _FIELDS[tag.kind]}) for name, tag in _fields(config).items()]
    return {
        "fields": [{"name": name, "title": name, "required": True, "settings": made} for name, made in fields],
        "questions": [
            {"name": one.name, "title": one.control.name, "required": index == 0, "settings": one.settings}
            for index, one in enumerate(questions.values())
        ],
        "metadata": [{"name": name, "title": name, "settings": {"type": "terms"}} for name in _METADATA],
        "vectors": [],
        "guidelines": None,
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
    }


# ---------------------------------------------------------------- records


def _record(
    source: Source, config: LabelConfig, questions: dict[str, _Question], task_id: str, item: Item
) -> JsonObject:
    version = f"{source.snapshot.dataset}@{source.snapshot.name}"
    known = {name: item.row.get(name) for name in _METADATA} | {"snapshot": version}
    answers = _answers(source, questions, item)
    user = source.options.get("user_id")
    agent = item.row["annotator"] or "syncd"
    said: JsonObject = (
        {"responses": {name: [{"value": value, "user_id": user, "status": "submitted"}] for name, value in answers}}
        if user
        else {"suggestions": {name: {"value": value, "agent": agent} for name, value in answers}}
    )
    fields = {name: _shown(source, item, tag) for name, tag in _fields(config).items()}
    return {"id": task_id, "fields": fields, "metadata": {k: v for k, v in known.items() if v is not None}, **said}


def _shown(source: Source, item: Item, tag: ObjectTag) -> Any:
    return value_at(item.row["data"] or {}, tag.variable or "") if tag.inline else link(source, item)


def _answers(source: Source, questions: dict[str, _Question], item: Item) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for region in item.regions:
        question = questions.get(region.control)
        value = _value(source, item, question, region) if question else None
        if question is None or value is None:
            source.lose(f"a {type(region).__name__.lower()}, which Argilla has no question for")
        elif question.kind == "span":
            found.setdefault(question.name, []).extend(value)
        else:
            found[question.name] = value
    return list(found.items())


def _value(source: Source, item: Item, question: _Question, region: Region) -> Any:
    text = text_under(source.config, item.row["data"], region)
    match region:
        case Span() if text is not None and question.kind == "span":
            start, end = code_points(text, region)
            return [{"start": start, "end": end, "label": label} for label in region.labels] or None
        case Choice(labels=labels) if labels:
            return labels[0] if question.kind == "label_selection" else list(labels)
        case Number(value=value):
            return int(value)
        case Text(text=lines):
            return "\n".join(lines)
    return None


def _misfit(source: Source) -> str | None:
    config = source.config
    if config and _fields(config) and any(_kind(config, control) for control in config.controls.values()):
        return None
    return (
        f"it needs texts or images with choices, marks in a text, ratings or texts; this version asks {asked(config)}"
    )


FORMAT = Format(
    "argilla",
    "Argilla 2: records as JSON lines, and the settings of their dataset",
    _write,
    _misfit,
    options={"user_id": "id (UUID) of the Argilla user whose responses the answers become; else suggestions"},
)
