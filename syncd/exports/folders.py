"""Image folders for classification, `train/cat/1.jpg`: torchvision's ImageFolder, Hugging Face's imagefolder.

For label configs with one single choice about an image. A folder is called after its label, made safe; `classes.json`
has the label of each folder, in the order of the label config (both readers number folders by the alphabet). Images lie
directly in their class's folder (a key's folders joined by `__`), because Hugging Face takes the last folder for the
class. A class that is used at all has its folder in every split, empty or not, or ImageFolder would number the others
anew there (it refuses an empty one without `allow_empty=True`). Images nobody chose a class for are left out, and told.
With `tasks=all` an image on which people disagree is in several folders.

label-studio-sdk's converter has no such format.
"""

import json
from itertools import product
from pathlib import Path

from syncd.domain.labels.configs import Control
from syncd.domain.regions import Choice
from syncd.exports.base import Format, Source
from syncd.exports.names import unique_parts
from syncd.exports.pictures import Picture, image_controls, named, pictures, read_by_name

READ = {"jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"}
"""https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html"""


def _write(source: Source, out: Path) -> None:
    [control] = _choices(source)
    labels = [*control.labels, *sorted(source.used_labels - set(control.labels))]
    folders = unique_parts(labels)
    splits, used = set(), set()
    for picture in pictures(source):
        chosen = _chosen(source, picture, control)
        if chosen:
            read_by_name(source, picture, READ, "ImageFolder")
        else:
            source.lose("an image without a class")
        for label in chosen:
            picture.place(f"{picture.split}/{folders[label]}/{picture.name}")
            splits.add(picture.split)
            used.add(label)
    for split, label in product(splits, used):
        (out / split / folders[label]).mkdir(parents=True, exist_ok=True)
    classes = {folders[label]: label for label in labels if label in {*control.labels, *used}}
    (out / "classes.json").write_text(json.dumps(classes, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _chosen(source: Source, picture: Picture, control: Control) -> list[str]:
    chosen: dict[str, None] = {}
    for region in picture.regions:
        if isinstance(region, Choice) and region.control == control.name:
            chosen.update(dict.fromkeys(region.labels[:1]))
        else:
            source.lose(named(region))
    return [*chosen]


def _choices(source: Source) -> list[Control]:
    controls = [control for control in image_controls(source) if control.kind == "choices"]
    return [control for control in controls if control.attributes.get("perregion", "").lower() != "true"]


def _misfit(source: Source) -> str | None:
    controls = _choices(source)
    if len(controls) != 1:
        return f"it needs one single choice for each image; the label config has {len(controls) or 'none'}"
    if controls[0].attributes.get("choice", "single") == "multiple":
        return "an image lies in one folder; people here choose several labels for each image"
    return None


FORMAT = Format(
    "folders", "a folder of images for each class", _write, _misfit, media=True, needs_files=True, flat=True
)
