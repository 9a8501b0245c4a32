"""Versions of image datasets for export tests: real files in a folder, real rows in a Lance table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from PIL import Image

from syncd.domain.labels import label_config
from syncd.domain.model import JsonObject, StagedChange
from syncd.snapshots.store import LanceSnapshots
from syncd.training.reader import open_snapshot
from syncd.training.snapshot import Snapshot
from tests.clock import FakeClock
from tests.snapshots.rows import put

SIZE = (64, 48)
LABELS = ("car", "person")
BOXES = label_config("object-detection", LABELS)
EVERYTHING = """<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="box" toName="image"><Label value="car"/><Label value="a person"/></RectangleLabels>
  <PolygonLabels name="outline" toName="image"><Label value="road"/></PolygonLabels>
  <EllipseLabels name="round" toName="image"><Label value="wheel"/></EllipseLabels>
  <BrushLabels name="brush" toName="image"><Label value="tissue"/></BrushLabels>
  <KeyPointLabels name="face" toName="image">
    <Label value="eye" model_index="0"/><Label value="nose" model_index="1"/>
  </KeyPointLabels>
</View>"""


@dataclass
class World:
    """A bucket in a folder, and a dataset about what is in it."""

    home: Path
    xml: str = BOXES
    rows: list[StagedChange] = field(default_factory=list)

    @property
    def bucket(self) -> Path:
        return self.home / "bucket"

    @property
    def snapshots(self) -> str:
        return f"{self.home.as_uri()}/snapshots"

    def image(self, key: str, size: tuple[int, int] = SIZE, colour: str = "red") -> dict[str, Any]:
        """Put an image into the bucket; the columns of a row about it."""
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path, path.suffix.lstrip(".").replace("jpg", "jpeg") or "png")
        return self.columns(key)

    def columns(self, key: str) -> dict[str, Any]:
        found = (self.bucket / key).stat()
        uri = self.bucket.as_uri()
        etag = f"{found.st_mtime_ns:x}-{found.st_size:x}"
        return {"bucket": uri, "key": key, "object_uri": f"{uri}/{key}", "etag": etag}

    def add(self, id_: str, image: dict[str, Any], *regions: JsonObject, **fields: Any) -> None:
        """An answer about an image."""
        labels = [label for region in regions for label in labels_of(region)]
        made = {"task_id": id_, "labels": tuple(dict.fromkeys(labels)), "result": orjson.dumps(regions).decode()}
        self.rows.append(put(id_, **{"data": '{"image": "x"}', **image, **made, **fields}))

    async def commit(self, at: float = 1_000_000.0) -> Snapshot:
        """All rows as the next version."""
        await LanceSnapshots(self.snapshots, clock=FakeClock(at)).commit("streets", self.rows, self.xml)
        return self.open()

    def open(self) -> Snapshot:
        return open_snapshot(f"{self.snapshots}/streets")


def labels_of(region: JsonObject) -> list[str]:
    return [label for name, value in region["value"].items() if name.endswith(("labels", "choices")) for label in value]


def region(
    kind: str, label: str | Sequence[str] | None, control: str = "label", size: tuple[int, int] = SIZE, **value: Any
) -> JsonObject:
    """A region as Label Studio's editor writes it; places are given in percent."""
    named = {} if label is None else {kind: [label] if isinstance(label, str) else list(label)}
    head = {
        "id": f"{control}-{label}-{sorted(value.items())!r}",
        "type": kind,
        "from_name": control,
        "to_name": "image",
    }
    return {**head, "original_width": size[0], "original_height": size[1], "image_rotation": 0, "value": value | named}


def box(label: str | Sequence[str] | None, x: float, y: float, width: float, height: float, **more: Any) -> JsonObject:
    """A rectangle, in pixels of an image of SIZE; `rotation` 0 unless it is given."""
    across, down = 100 / SIZE[0], 100 / SIZE[1]
    value = {"x": x * across, "y": y * down, "width": width * across, "height": height * down, "rotation": 0}
    control = more.pop("control", "label")
    return region("rectanglelabels", label, control, **(value | more))


def brush(
    label: str, pixels: Iterable[tuple[int, int]], control: str = "brush", size: tuple[int, int] = SIZE
) -> JsonObject:
    """A brush mask of these pixels (x, y), encoded by Label Studio's own encoder."""
    import numpy as np  # noqa: PLC0415
    from label_studio_sdk.converter.brush import encode_rle  # noqa: PLC0415

    rgba: Any = np.zeros((size[1], size[0], 4), dtype=np.uint8)
    for x, y in pixels:
        rgba[y, x] = (0, 0, 0, 255)
    return region("brushlabels", label, control, size=size, format="rle", rle=list(map(int, encode_rle(rgba.ravel()))))


def choice(*labels: str) -> JsonObject:
    """A choice about the whole image."""
    return {"id": "c", "type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": list(labels)}}


def tree(folder: Path, *, without: Callable[[str], bool] = lambda _: False) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if not without(name)}
