"""One builder per labelling task: labels in, the label config's XML tree out.

Called by `labels.label_config` only, which has checked labels and the types of options. The trees follow Label
Studio's own templates: the same tags, with the options people switch on anyway. Built as trees, never as strings,
so that any label is escaped rightly. Keyword arguments are the task's options; `variable` is the key of task data
that holds the object.
"""

import re
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from syncd.domain.errors import ConfigError, Problem

# Okabe and Ito's palette: told apart by colour-blind people too.
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
_HOTKEYS = "1234567890"
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _tag(tag: str, *children: Element, **attributes: str) -> Element:
    element = Element(tag, attributes)
    element.extend(children)
    return element


def _view(*children: Element) -> Element:
    return _tag("View", *children)


def _labels(labels: Sequence[str]) -> Iterator[Element]:
    for index, label in enumerate(labels):
        colour = _COLOURS[index % len(_COLOURS)]
        yield _tag("Label", value=label, background=colour, **_hotkey(index))


def _choices(labels: Sequence[str]) -> Iterator[Element]:
    for index, label in enumerate(labels):
        yield _tag("Choice", value=label, **_hotkey(index))


def _hotkey(index: int) -> dict[str, str]:
    return {"hotkey": _HOTKEYS[index]} if index < len(_HOTKEYS) else {}


def _option_error(option: str, found: object, allowed: str) -> ConfigError:
    return ConfigError([Problem(f"options.{option}", repr(found), allowed)])


def _reference(variable: str) -> str:
    if not _IDENTIFIER.fullmatch(variable):
        raise _option_error("variable", variable, "must be letters, digits and underscores, not starting with a digit")
    return f"${variable}"


def _image(variable: str, **attributes: str) -> Element:
    return _tag("Image", name="image", value=_reference(variable), zoom="true", zoomControl="true", **attributes)


def _text(variable: str) -> Element:
    return _tag("Text", name="text", value=_reference(variable))


def _audio(variable: str) -> Element:
    return _tag("Audio", name="audio", value=_reference(variable), zoom="true", hotkey="ctrl+enter")


def _one_of(to_name: str, labels: Sequence[str]) -> Element:
    options = {"choice": "single", "showInline": "true", "required": "true"}
    return _tag("Choices", *_choices(labels), name="choice", toName=to_name, **options)


# ---------------------------------------------------------------- images


def image_classification(labels: Sequence[str], *, variable: str = "image") -> Element:
    """Image and single choice."""
    return _view(_image(variable), _one_of("image", labels))


def image_multi_classification(labels: Sequence[str], *, variable: str = "image") -> Element:
    """Image and multiple choice."""
    options = {"choice": "multiple", "showInline": "true"}
    return _view(_image(variable), _tag("Choices", *_choices(labels), name="choice", toName="image", **options))


def object_detection(labels: Sequence[str], *, variable: str = "image") -> Element:
    """Image and labelled boxes."""
    boxes = _tag("RectangleLabels", *_labels(labels), name="label", toName="image", strokeWidth="2", canRotate="true")
    return _view(_image(variable), boxes)


def polygon_segmentation(labels: Sequence[str], *, variable: str = "image") -> Element:
    """Image and labelled polygons."""
    options = {"strokeWidth": "3", "pointSize": "small", "opacity": "0.9"}
    return _view(_image(variable), _tag("PolygonLabels", *_labels(labels), name="label", toName="image", **options))


def brush_segmentation(labels: Sequence[str], *, variable: str = "image") -> Element:
    """Image and labelled masks."""
    return _view(_image(variable), _tag("BrushLabels", *_labels(labels), name="label", toName="image"))


def keypoints(labels: Sequence[str], *, variable: str = "image") -> Element:
    """Image and labelled points."""
    return _view(_image(variable), _tag("KeyPointLabels", *_labels(labels), name="label", toName="image"))


def ocr(labels: Sequence[str], *, variable: str = "image") -> Element:
    """Image; shape, label and transcription of each text share one region id."""
    transcription = {
        "editable": "true",
        "perRegion": "true",
        "required": "true",
        "maxSubmissions": "1",
        "rows": "5",
        "placeholder": "Recognized text",
        "displayMode": "region-list",
    }
    return _view(
        _image(variable, rotateControl="true"),
        _tag("Labels", *_labels(labels), name="label", toName="image"),
        _tag("Rectangle", name="bbox", toName="image", strokeWidth="3"),
        _tag("Polygon", name="poly", toName="image", strokeWidth="3"),
        _tag("TextArea", name="transcription", toName="image", **transcription),
    )


# ---------------------------------------------------------------- text


def text_classification(labels: Sequence[str], *, variable: str = "text") -> Element:
    """Text and single choice."""
    return _view(_text(variable), _one_of("text", labels))


def named_entities(labels: Sequence[str], *, variable: str = "text") -> Element:
    """Text and labelled spans."""
    return _view(_tag("Labels", *_labels(labels), name="label", toName="text"), _text(variable))


def relations(labels: Sequence[str], *, variable: str = "text", relations: Sequence[str] = ("related to",)) -> Element:
    """Named entities; `relations` are the names a relation may have."""
    kinds = _tag("Relations", *(_tag("Relation", value=relation) for relation in relations))
    return _view(kinds, *named_entities(labels, variable=variable))


# ---------------------------------------------------------------- audio, video, series


def audio_classification(labels: Sequence[str], *, variable: str = "audio") -> Element:
    """Audio and single choice."""
    return _view(_audio(variable), _one_of("audio", labels))


def audio_segments(labels: Sequence[str], *, variable: str = "audio") -> Element:
    """Audio and labelled segments."""
    return _view(_tag("Labels", *_labels(labels), name="label", toName="audio"), _audio(variable))


def transcription(_: Sequence[str], *, variable: str = "audio") -> Element:
    """Audio and one text for all of it."""
    options = {"rows": "4", "editable": "true", "maxSubmissions": "1", "required": "true"}
    return _view(_audio(variable), _tag("TextArea", name="transcription", toName="audio", **options))


def video_object_tracking(labels: Sequence[str], *, variable: str = "video", frame_rate: float = 25.0) -> Element:
    """Video and labelled boxes on key frames; `frame_rate` in frames per second."""
    if not 0 < frame_rate <= 1000:
        raise _option_error("frame_rate", frame_rate, "must be the frames per second of the videos")
    return _view(
        _tag("Labels", *_labels(labels), name="label", toName="video", allowEmpty="true"),
        _tag("Video", name="video", value=_reference(variable), framerate=str(float(frame_rate))),
        _tag("VideoRectangle", name="box", toName="video"),
    )


def video_timeline(labels: Sequence[str], *, variable: str = "video") -> Element:
    """Video and labelled ranges of frames."""
    return _view(
        _tag("TimelineLabels", *_labels(labels), name="label", toName="video"),
        _tag("Video", name="video", value=_reference(variable), timelineHeight="120"),
    )


def time_series(
    labels: Sequence[str],
    *,
    variable: str = "timeseries",
    time_column: str = "time",
    channels: Sequence[str] = ("value",),
) -> Element:
    """CSV behind a link and labelled segments; `channels` and `time_column` are its columns."""
    source = {"valueType": "url", "sep": ",", "timeColumn": time_column}
    columns = (_tag("Channel", column=column, legend=column) for column in channels)
    return _view(
        _tag("TimeSeriesLabels", *_labels(labels), name="label", toName="timeseries"),
        _tag("TimeSeries", *columns, name="timeseries", value=_reference(variable), **source),
    )


# ---------------------------------------------------------------- comparing and rating


def pairwise(_: Sequence[str], *, variable: str = "text") -> Element:
    """Two texts, one to be chosen; the variables are `variable` followed by 1 and 2."""
    return _view(
        _tag("Header", value="Select the better one"),
        _tag("Pairwise", name="pairwise", toName="left,right"),
        _tag("Text", name="left", value=_reference(f"{variable}1")),
        _tag("Text", name="right", value=_reference(f"{variable}2")),
    )


def ranking(labels: Sequence[str], *, variable: str = "items") -> Element:
    """A list to be sorted, or to be spread over one bucket per label."""
    buckets = (_tag("Bucket", name=label, title=label) for label in labels)
    return _view(
        _tag("List", name="list", value=_reference(variable), title="Items"),
        _tag("Ranker", *buckets, name="rank", toName="list"),
    )


def rating(_: Sequence[str], *, variable: str = "text", max_rating: int = 5) -> Element:
    """Text and 1 to `max_rating` stars."""
    if not 1 <= max_rating <= 100:
        raise _option_error("max_rating", max_rating, "must be 1 to 100")
    options = {"maxRating": str(max_rating), "icon": "star", "required": "true"}
    return _view(_text(variable), _tag("Rating", name="rating", toName="text", **options))
