"""One valid answer per labelling task, shaped as Label Studio's editor writes them."""

from typing import Any

from syncd.domain.labels import TASKS, label_config
from syncd.domain.model import JsonObject

TEXT = "Angela Merkel met 👩‍🚀 in Berlin"


def config_of(task: str) -> str:
    """The label config of a task with its example labels."""
    return label_config(task, TASKS[task].example_labels)


def region(type_: str, from_name: str, to_name: str, value: JsonObject, id_: str = "r1") -> JsonObject:
    """A region; those on images carry the size of the image, as the editor writes it."""
    size = {"original_width": 640, "original_height": 480, "image_rotation": 0} if to_name == "image" else {}
    return {"id": id_, "type": type_, "from_name": from_name, "to_name": to_name, "origin": "manual", **size} | {
        "value": value
    }


BOX: JsonObject = {"x": 19.5, "y": 30.4, "width": 17.5, "height": 25.2, "rotation": 0}
KEY_FRAME: JsonObject = {
    "frame": 1,
    "enabled": True,
    "time": 0.04,
    "x": 1,
    "y": 2,
    "width": 30,
    "height": 40,
    "rotation": 0,
}

ANSWERS: dict[str, list[JsonObject]] = {
    "image-classification": [region("choices", "choice", "image", {"choices": ["cat"]})],
    "image-multi-classification": [region("choices", "choice", "image", {"choices": ["indoor", "people"]})],
    "object-detection": [
        region("rectanglelabels", "label", "image", BOX | {"rectanglelabels": ["car"]}),
        region("rectanglelabels", "label", "image", BOX | {"rotation": 30, "rectanglelabels": ["person"]}, "r2"),
    ],
    "polygon-segmentation": [
        region(
            "polygonlabels",
            "label",
            "image",
            {"points": [[1, 2], [50.5, 2], [50, 60]], "closed": True, "polygonlabels": ["road"]},
        )
    ],
    "brush-segmentation": [
        region("brushlabels", "label", "image", {"format": "rle", "rle": [0, 1, 37, 255], "brushlabels": ["tissue"]})
    ],
    "keypoints": [
        region("keypointlabels", "label", "image", {"x": 50, "y": 50, "width": 0.4, "keypointlabels": ["nose"]})
    ],
    "ocr": [
        region("rectangle", "bbox", "image", BOX | {"rotation": 359}),
        region("labels", "label", "image", BOX | {"rotation": 359, "labels": ["text"]}),
        region("textarea", "transcription", "image", BOX | {"rotation": 359, "text": ["GREEN MARKET"]}),
    ],
    "text-classification": [region("choices", "choice", "text", {"choices": ["neutral"]})],
    "named-entities": [
        region("labels", "label", "text", {"start": 0, "end": 13, "text": "Angela Merkel", "labels": ["person"]}),
        region("labels", "label", "text", {"start": 25, "end": 31, "text": "Berlin", "labels": ["place"]}, "r2"),
    ],
    "relations": [
        region("labels", "label", "text", {"start": 0, "end": 6, "text": "Angela", "labels": ["person"]}),
        region("labels", "label", "text", {"start": 7, "end": 13, "text": "Merkel", "labels": ["person"]}, "r2"),
        {"from_id": "r1", "to_id": "r2", "type": "relation", "direction": "right", "labels": ["related to"]},
    ],
    "audio-classification": [region("choices", "choice", "audio", {"choices": ["speech"]})],
    "audio-segments": [
        region("labels", "label", "audio", {"start": 1.09, "end": 2.4, "channel": 0, "labels": ["speaker one"]})
    ],
    "transcription": [region("textarea", "transcription", "audio", {"text": ["hello world"]})],
    "video-object-tracking": [
        region(
            "videorectangle",
            "box",
            "video",
            {"framesCount": 100, "duration": 4.0, "sequence": [KEY_FRAME], "labels": ["car"]},
        )
    ],
    "video-timeline": [
        region("timelinelabels", "label", "video", {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["still"]})
    ],
    "time-series": [
        region(
            "timeserieslabels",
            "label",
            "timeseries",
            {"start": 1, "end": 9.5, "instant": False, "timeserieslabels": ["run"]},
        )
    ],
    "pairwise": [region("pairwise", "pairwise", "left", {"selected": "left"})],
    "ranking": [region("ranker", "rank", "list", {"ranker": {"_": ["a"], "relevant": ["b"], "biased": []}})],
    "rating": [region("rating", "rating", "text", {"rating": 4})],
}

DATA: dict[str, Any] = {"text": TEXT}
