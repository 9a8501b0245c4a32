"""Which rule the value of a region must obey, by the kind of its control; the rules that are not shapes.

Called by `checks` only. Spans count characters of the raw text, the end excluded; segments are seconds. A kind
without a rule here passes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from syncd.domain.checks import shapes
from syncd.domain.checks.regions import (
    InvalidRegionError,
    Region,
    entries,
    number,
    objects,
    require,
    shown,
    text,
    texts,
    whole,
)

Rule = Callable[[Region], None]

# ---------------------------------------------------------------- spans and segments


def _labelled(region: Region) -> None:
    """Labels say nothing of where: either a shape with the same id does, or the object they lie on."""
    if region.shape:
        SHAPE_RULES[region.shape](region)
    elif region.on in SPAN_RULES:
        SPAN_RULES[region.on](region)
    else:
        require({"start", "end"} <= region.value.keys(), "no shape shares its id, and it has no start and end")
        require(all(isinstance(region.value[end], int | float | str) for end in ("start", "end")), "odd start or end")


def _text_span(region: Region) -> None:
    start, end = whole(region.value, "start"), whole(region.value, "end")
    require(start < end, f"end {end} must be after start {start}")
    if region.text is not None:
        _require_in_text(region.text, start, end, region.value.get("text"))


def _require_in_text(whole_text: str, start: int, end: int, said: object) -> None:
    """Editors count code points, older ones UTF-16 units; white space they show in their own ways."""
    units = whole_text.encode("utf-16-le", "surrogatepass")
    require(end <= len(units) // 2, f"end {end} is behind the end of the text")
    if isinstance(said, str):
        found = (whole_text[start:end], units[2 * start : 2 * end].decode("utf-16-le", "replace"))
        require(_dense(said) in map(_dense, found), f"text {shown(said)} is not what stands there, {shown(found[0])}")


def _dense(words: str) -> str:
    """Without white space, written-out line ends included."""
    return "".join(words.replace("\\n", " ").split())


def _hypertext_span(region: Region) -> None:
    """XPaths with offsets, or characters of the rendered text."""
    if not isinstance(region.value.get("start"), str):
        start, end = whole(region.value, "start"), whole(region.value, "end")
        require(start < end, f"end {end} must be after start {start}")
        return
    text(region.value, "start")
    text(region.value, "end")
    _offsets(region.value)


def _paragraph_span(region: Region) -> None:
    """Numbers of paragraphs, written as texts, with offsets into them."""
    start, end = (_paragraph(region.value, name) for name in ("start", "end"))
    require(start <= end, f"end {end} must not be before start {start}")
    _offsets(region.value)


def _paragraph(value: Mapping[str, Any], name: str) -> int:
    found = value.get(name)
    digits = isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 10
    return int(str(found)) if digits else whole(value, name)


def _offsets(value: Mapping[str, Any]) -> None:
    for name in ("startOffset", "endOffset"):
        if value.get(name) is not None:
            whole(value, name)


def _segment(region: Region) -> None:
    start, end = number(region.value, "start", 0), number(region.value, "end", 0)
    require(start <= end, f"end {end:g} must not be before start {start:g}")


def _time_span(region: Region) -> None:
    """Numbers, or texts in the time format of the config."""
    value = region.value
    if isinstance(value.get("start"), str):
        text(value, "start")
        text(value, "end")
    else:
        start, end = number(value, "start"), number(value, "end")
        require(start <= end, f"end {end:g} must not be before start {start:g}")
    if region.kind == "timeserieslabels":
        require(isinstance(value.get("instant"), bool), "instant must be true or false")


def _frame_ranges(region: Region) -> None:
    for frames in objects(region.value, "ranges"):
        start, end = number(frames, "start", 0), number(frames, "end", 0)
        require(start <= end, f"end {end:g} must not be before start {start:g}")


# ---------------------------------------------------------------- answers about a whole object


def _textarea(region: Region) -> None:
    texts(region.value, "text")


def _rating(region: Region) -> None:
    most = region.control.number("maxrating") or 5
    require(whole(region.value, "rating") <= most, f"rating {region.value['rating']} must be at most {most:g}")


def _number(region: Region) -> None:
    low, high = region.control.number("min"), region.control.number("max")
    found = number(region.value, "number")
    require(low is None or found >= low, f"number {found:g} must be at least {low}")
    require(high is None or found <= high, f"number {found:g} must be at most {high}")


def _datetime(region: Region) -> None:
    text(region.value, "datetime")


def _pairwise(region: Region) -> None:
    selected = region.value.get("selected")
    require(selected in ("left", "right"), f"selected {shown(selected)} must be left or right")


def _ranker(region: Region) -> None:
    ranks = region.value.get("ranker")
    if not isinstance(ranks, dict):
        raise InvalidRegionError("ranker must be an object of lists")
    for bucket in ranks:
        require(isinstance(bucket, str), "ranker must name its buckets")
        texts(ranks, bucket)


def _taxonomy(region: Region) -> None:
    for path in entries(region.value, "taxonomy", least=0):
        require(isinstance(path, list), f"taxonomy path {shown(path)} must be a list")


def _chat_message(region: Region) -> None:
    message = region.value.get("chatmessage")
    if not isinstance(message, dict):
        raise InvalidRegionError("chatmessage must be an object")
    require(
        all(isinstance(message.get(name), str) for name in ("role", "content")), "chatmessage lacks role or content"
    )


def _react_code(region: Region) -> None:
    require(isinstance(region.value.get("reactcode"), dict), "reactcode must be an object")


SHAPE_RULES: Mapping[str, Rule] = {
    "rectangle": shapes.sized(shapes.rectangle),
    "polygon": shapes.sized(shapes.polygon),
    "ellipse": shapes.sized(shapes.ellipse),
    "keypoint": shapes.sized(shapes.keypoint),
    "brush": shapes.sized(shapes.brush),
    "magicwand": shapes.sized(shapes.brush),
    "bitmask": shapes.sized(shapes.bitmask),
    "vector": shapes.sized(shapes.vector),
}

SPAN_RULES: Mapping[str, Rule] = {
    "text": _text_span,
    "hypertext": _hypertext_span,
    "paragraphs": _paragraph_span,
    "audio": _segment,
    "audioplus": _segment,
    "video": _segment,
    "timeseries": _time_span,
}

VALUE_RULES: Mapping[str, Rule] = {
    **SHAPE_RULES,
    **{f"{shape}labels": rule for shape, rule in SHAPE_RULES.items()},
    **dict.fromkeys(("labels", "hypertextlabels", "paragraphlabels", "timeserieslabels"), _labelled),
    "timelinelabels": _frame_ranges,
    "ocrlabels": shapes.ocr_box,
    "videorectangle": shapes.video_boxes,
    **dict.fromkeys(("videovector", "videovectorlabels"), shapes.video_vectors),
    "textarea": _textarea,
    "rating": _rating,
    "number": _number,
    "datetime": _datetime,
    "pairwise": _pairwise,
    "ranker": _ranker,
    "taxonomy": _taxonomy,
    "chatmessage": _chat_message,
    "reactcode": _react_code,
}
