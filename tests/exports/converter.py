"""label-studio-sdk's converter: the yardstick where it is right."""

import contextlib
import io
from pathlib import Path
from typing import Any

import orjson
from label_studio_sdk.converter import Converter


def converted(folder: Path, xml: str, shapes: list[Any], format_: str) -> Path:
    """What label-studio-sdk's converter makes of one task."""
    folder.mkdir(exist_ok=True)
    annotation = {"id": 1, "result": shapes, "was_cancelled": False, "completed_by": 1}
    tasks = [{"id": 1, "data": {"image": "s3://b/1.jpg"}, "annotations": [annotation]}]
    (folder / "tasks.json").write_bytes(orjson.dumps(tasks))
    with contextlib.redirect_stdout(io.StringIO()):
        converter = Converter(xml, str(folder), download_resources=False)
        converter.convert(str(folder / "tasks.json"), str(folder / "theirs"), format_, is_dir=False)
    return folder / "theirs"
