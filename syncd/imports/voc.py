"""Pascal VOC: one XML file for each image. http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html

Corners count pixels from 1, both included; a corner at 0, as many tools write it, is one at 1. The file name is taken
with the folders that the XML file lies in.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET  # its types; files are read by defusedxml

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Box, Size
from syncd.imports.base import Item, faulty, original_keys, within
from syncd.training.extras import required


def parse_voc(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The images that the XML files in `Annotations` (or in the folder itself) speak of; or one such file."""
    _ = config
    folder = path / "Annotations" if (path / "Annotations").is_dir() else path
    files, inside = ([path], path.parent) if path.is_file() else (sorted(folder.rglob("*.xml")), folder)
    if not files:
        raise Rejected(f"{folder} has no XML files")
    parser, keys = required("defusedxml.ElementTree", "import"), original_keys(path)
    for file in files:
        where = str(file.relative_to(inside))
        try:
            yield _item(parser.parse(file).getroot(), file.relative_to(inside), where, keys)
        except (ET.ParseError, AttributeError, TypeError, ValueError, LookupError) as error:
            yield faulty(where, f"not as Pascal VOC has it: {error}")


def _item(root: ET.Element, inside: Path, where: str, keys: Mapping[str, str]) -> Item:
    size = Size(int(_number(root, "size/width")), int(_number(root, "size/height")))
    name = root.findtext("filename") or inside.stem
    key = name if "/" in name else (inside.parent / name).as_posix()
    return Item(keys.get(f"JPEGImages/{name}", key), tuple(_box(found, size) for found in root.iter("object")), where)


def _box(found: ET.Element, size: Size) -> Box:
    left, top, right, bottom = (_number(found, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax"))
    labels = (found.findtext("name", "").strip(),)
    return within(Box(labels=labels, x=left - 1, y=top - 1, width=right - left + 1, height=bottom - top + 1, size=size))


def _number(root: ET.Element, path: str) -> float:
    found = root.findtext(path, "")
    try:
        return float(found)
    except ValueError:
        raise ValueError(f"{path} {found!r} is no number") from None
