"""COCO's run-length masks, taken apart. Called by `coco`. Pure.

Runs count pixels from the top left downwards, column by column: first what is not masked, then what is, and so on.
They come as a list of numbers, or as a text with five bits to a character, from the third run on as the difference to
the run two before: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c (`rleFrString`).
"""

from collections.abc import Iterator
from typing import Any

from syncd.domain.regions import Size


def pixels_of(segmentation: dict[str, Any], size: Size) -> bytes:
    """One byte for each pixel, row by row: 1 where the mask is, else 0. ValueError: it is none of that size."""
    height, width = (int(side) for side in segmentation["size"])
    counts = segmentation["counts"]
    runs = list(_runs(counts)) if isinstance(counts, str) else [int(count) for count in counts]
    if Size(width, height) != size or min(runs, default=0) < 0 or sum(runs) != width * height:
        raise ValueError(f"its mask is not of the image's {size.width} x {size.height} pixels")
    columns = b"".join(bytes([number % 2]) * run for number, run in enumerate(runs))
    return b"".join(columns[y::height] for y in range(height))


def _runs(text: str) -> Iterator[int]:
    runs: list[int] = []
    value = shift = 0
    for character in text.encode():
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:  # more of this number follows
            continue
        value -= (bits & 0x10) << shift - 4  # its sign
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        yield runs[-1]
        value = shift = 0
