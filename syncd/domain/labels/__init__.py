"""Label configs made from a task name and labels, for the configuration and the `label-config` command.

Pure. What each config looks like stands in `templates`; this module knows the tasks and refuses labels that
Label Studio would garble.
"""

import inspect
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from syncd.domain.errors import ConfigError, Problem
from syncd.domain.labels import templates
from syncd.domain.labels.configs import has_variable, parse_label_config

MAX_LABELS = 1_000
MAX_LABEL_LENGTH = 200

# Control characters and line ends, and what XML cannot hold at all.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class LabelTask:
    """A kind of labelling work. `note` says what people do and what an answer holds.

    `labels`: whether it takes any: "required", "optional" or "none".
    """

    name: str
    description: str
    media: tuple[str, ...]
    example_labels: tuple[str, ...]
    note: str
    build: Callable[..., ET.Element]
    labels: str = "required"

    @property
    def options(self) -> Mapping[str, Any]:
        """The options `label_config` takes for it, with their defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


def label_config(task: str, labels: Sequence[str], **options: Any) -> str:
    """The label config (XML) for a task of `TASKS`. Labels keep their order; the first ten get the digits as hotkeys.

    Raises ConfigError with every problem: field `task`, `labels`, or `options.NAME`.
    """
    problems = [*_task_problems(task), *_label_problems(task, labels), *_option_problems(task, options)]
    if problems:
        raise ConfigError(problems)
    root = TASKS[task].build(labels, **options)
    ET.indent(root)
    xml = ET.tostring(root, encoding="unicode")
    parse_label_config(xml)
    return xml


def _task_problems(task: str) -> list[Problem]:
    if task in TASKS:
        return []
    return [Problem("task", repr(task), f"must be one of {', '.join(TASKS)}")]


def _option_problems(task: str, options: Mapping[str, Any]) -> list[Problem]:
    known = TASKS[task].options if task in TASKS else {}
    problems = []
    for option, value in options.items():
        if option not in known and task in TASKS:
            problems.append(Problem(f"options.{option}", "", f"{task} takes only {', '.join(known)}"))
        elif option in known and (rule := _value_rule(value, known[option])):
            problems.append(Problem(f"options.{option}", reprlib.repr(value), rule))
    return problems


def _value_rule(value: object, default: object) -> str:
    """What is wrong with an option's value: it must be of the kind of its default."""
    match default:
        case str():
            return next(iter(_label_rules(value)), "")
        case tuple() if isinstance(value, list | tuple) and value:
            return next((rule for text in value for rule in _label_rules(text)), "")
        case tuple():
            return "must be a list that is not empty"
        case int():
            return "" if type(value) is int else "must be a whole number"
        case _:
            return "" if type(value) in {int, float} else "must be a number"


def _label_problems(task: str, labels: Sequence[str]) -> list[Problem]:
    if isinstance(labels, str):
        return [Problem("labels", reprlib.repr(labels), "must be a list of labels")]
    rules = [rule for rule in (_count_rule(task, labels), _repetition_rule(labels)) if rule]
    rules += [f"{reprlib.repr(label)} {rule}" for label in labels for rule in _label_rules(label)]
    return [Problem("labels", "", rule) for rule in rules]


def _count_rule(task: str, labels: Sequence[str]) -> str:
    kind = TASKS.get(task)
    if kind and kind.labels == "required" and not labels:
        return f"give at least one label, such as {kind.example_labels[0]!r}"
    if kind and kind.labels == "none" and labels:
        return f"{task} takes no labels; leave them out"
    return f"must be at most {MAX_LABELS} labels" if len(labels) > MAX_LABELS else ""


def _repetition_rule(labels: Sequence[str]) -> str:
    counts = Counter(label for label in labels if isinstance(label, str))
    repeated = [reprlib.repr(label) for label, count in counts.items() if count > 1]
    return f"give each label once, not again: {', '.join(repeated)}" if repeated else ""


def _label_rules(label: object) -> list[str]:
    """What is wrong with one label, if anything."""
    if not isinstance(label, str) or not label:
        return ["must be a text that is not empty"]
    rules = {
        "must not start or end with white space": label != label.strip(),
        f"must be at most {MAX_LABEL_LENGTH} characters": len(label) > MAX_LABEL_LENGTH,
        "must hold no line ends or control characters": _UNPRINTABLE.search(label) is not None,
        "must not hold `$` before a letter or digit: Label Studio puts task data there": has_variable(label),
    }
    return [rule for rule, broken in rules.items() if broken]


_ALL = (
    LabelTask(
        "image-classification",
        "One label for each image",
        ("image",),
        ("cat", "dog"),
        "People pick exactly one label for the whole image and cannot submit without. An answer is one `choices` "
        "region with one label. Use it when classes exclude each other.",
        templates.image_classification,
    ),
    LabelTask(
        "image-multi-classification",
        "Any number of labels for each image",
        ("image",),
        ("indoor", "people", "text"),
        "People tick every label that applies, or none. An answer is one `choices` region with all of them.",
        templates.image_multi_classification,
    ),
    LabelTask(
        "object-detection",
        "Labelled boxes on an image",
        ("image",),
        ("car", "person"),
        "People draw a box around each object; boxes may be rotated. Coordinates are percent of the image, "
        "origin top left.",
        templates.object_detection,
    ),
    LabelTask(
        "polygon-segmentation",
        "Labelled outlines on an image",
        ("image",),
        ("building", "road"),
        "People click around each object; at least three points. Exact and small where outlines are simple.",
        templates.polygon_segmentation,
    ),
    LabelTask(
        "brush-segmentation",
        "Labelled masks painted on an image",
        ("image",),
        ("background", "tissue"),
        "People paint pixels; an answer is a run-length encoded mask. For shapes without clear outlines.",
        templates.brush_segmentation,
    ),
    LabelTask(
        "keypoints",
        "Labelled points on an image",
        ("image",),
        ("left eye", "right eye", "nose"),
        "People click single points, such as joints or landmarks of a face.",
        templates.keypoints,
    ),
    LabelTask(
        "ocr",
        "Text found and typed in on an image",
        ("image",),
        ("text", "handwriting"),
        "People draw a box or polygon, label it and type what it says. One text makes three regions that share "
        "an id: shape, label, transcription.",
        templates.ocr,
    ),
    LabelTask(
        "text-classification",
        "One label for each text",
        ("text",),
        ("positive", "neutral", "negative"),
        "People read the text and pick exactly one label. The task carries the text itself.",
        templates.text_classification,
    ),
    LabelTask(
        "named-entities",
        "Labelled spans in a text",
        ("text",),
        ("person", "organization", "place"),
        "People mark words and label them. Spans count characters of the raw text, the end excluded.",
        templates.named_entities,
    ),
    LabelTask(
        "relations",
        "Labelled spans in a text, and how they relate",
        ("text",),
        ("person", "organization"),
        "As named-entities; people also draw directed relations between two spans. The option `relations` names "
        "what a relation may be called.",
        templates.relations,
    ),
    LabelTask(
        "audio-classification",
        "One label for each recording",
        ("audio",),
        ("speech", "music", "noise"),
        "People listen and pick exactly one label for the whole recording.",
        templates.audio_classification,
    ),
    LabelTask(
        "audio-segments",
        "Labelled stretches of a recording",
        ("audio",),
        ("speaker one", "speaker two"),
        "People mark stretches on the waveform: speakers or sound events. Start and end are seconds.",
        templates.audio_segments,
    ),
    LabelTask(
        "transcription",
        "The words of a recording",
        ("audio",),
        (),
        "People type what is said in the whole recording. Takes no labels.",
        templates.transcription,
        labels="none",
    ),
    LabelTask(
        "video-object-tracking",
        "Labelled boxes that move through a video",
        ("video",),
        ("car", "person"),
        "People set boxes on key frames and Label Studio fills in between. `frame_rate` must be that of the videos: "
        "it turns frames into seconds.",
        templates.video_object_tracking,
    ),
    LabelTask(
        "video-timeline",
        "Labelled stretches of a video",
        ("video",),
        ("moving", "still"),
        "People mark ranges of frames on a timeline and label them.",
        templates.video_timeline,
    ),
    LabelTask(
        "time-series",
        "Labelled stretches of a time series",
        ("time-series",),
        ("run", "walk"),
        "Objects are CSV files. The options `time_column` and `channels` name its columns; times are numbers.",
        templates.time_series,
    ),
    LabelTask(
        "pairwise",
        "The better one of two texts",
        ("text",),
        (),
        "People click the better text. Objects are JSON files with two members: `variable` followed by 1 and 2. "
        "Takes no labels.",
        templates.pairwise,
        labels="none",
    ),
    LabelTask(
        "ranking",
        "Items put in order, or into buckets",
        ("list",),
        ("relevant", "biased"),
        "People sort a list of items (objects with id, title, body). With labels they drag items into one bucket "
        "per label instead. Objects are JSON files: the list, or an object that has it as the member `variable`.",
        templates.ranking,
        labels="optional",
    ),
    LabelTask(
        "rating",
        "A number of stars for each text",
        ("text",),
        (),
        "People give one to `max_rating` stars. Takes no labels.",
        templates.rating,
        labels="none",
    ),
)

TASKS: Mapping[str, LabelTask] = {task.name: task for task in _ALL}
"""The labelling tasks by name."""
