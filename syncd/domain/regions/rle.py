"""Label Studio's run-length encoding of brush masks, taken apart and written. Pure.

The format is that of `@thi.ng/rle-pack` (https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack): bits, most
significant first. A head of 32 bits (how many values), 5 bits (word size - 1) and four times 4 bits (run sizes - 1);
then runs: 1 bit (whether one value is repeated), 2 bits (which run size), the count - 1 in that many bits, and
the value, or as many values. Values are the bytes of RGBA pixels, row by row; the mask is where alpha is not 0.
Here and not asked of label-studio-sdk because that is 366 MB, and reads a string of `0` and `1` bit by bit.
"""

import re
from collections.abc import Iterable

_SIZES = (3, 4, 8, 16)  # bits of a run's length, as Label Studio's converter writes them
_RUN = re.compile(rb"\x00+|\x01+")


def read_rle(rle: Iterable[int], expected: int) -> bytes:
    """The RGBA bytes. ValueError: it is cut off, its values are no bytes, or there are not as many as expected.

    So many are expected, for a few bytes of a run say thousands.
    """
    bits = _Bits(bytes(rle))
    count, word = bits.read(32), bits.read(5) + 1
    if count != expected:
        raise ValueError(f"{count} values instead of {expected}")
    sizes = [bits.read(4) + 1 for _ in range(4)]
    if word != 8:
        raise ValueError(f"values of {word} bits instead of 8")
    out = bytearray()
    while len(out) < count:
        repeated = bits.read(1)
        length = 1 + bits.read(sizes[bits.read(2)])
        out += bits.bytes(1) * length if repeated else bits.bytes(length)
    if len(out) != count:
        raise ValueError(f"{len(out)} values instead of {count}")
    return bytes(out)


def read_mask(rle: Iterable[int], width: int, height: int) -> bytes:
    """One byte for each pixel, row by row: 1 where the mask is, else 0. ValueError: it is none of that size."""
    return read_rle(rle, 4 * width * height)[3::4].translate(_PRESENT)


def write_mask(pixels: bytes) -> tuple[int, ...]:
    """The inverse of `read_mask`: one byte for each pixel, 1 or 0. All four channels of a pixel are 255, or 0."""
    head = f"{4 * len(pixels):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    bits = head + "".join(_written(4 * len(run[0]), 255 * run[0][0]) for run in _RUN.finditer(pixels))
    bits += "0" * (-len(bits) % 8)
    return tuple(int(bits, 2).to_bytes(len(bits) // 8))


def _written(length: int, value: int) -> str:
    """Runs of one value, each as long as can be, in the fewest bits."""
    longest = 1 << _SIZES[-1]
    parts = [longest] * (length // longest) + [length % longest] * (length % longest > 0)
    return "".join(_run(part, value) for part in parts)


def _run(length: int, value: int) -> str:
    which = next(index for index, size in enumerate(_SIZES) if length <= 1 << size)
    return f"1{which:02b}{length - 1:0{_SIZES[which]}b}{value:08b}"


_PRESENT = bytes([0] + [1] * 255)


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, count: int) -> int:
        """The next bits as a number."""
        first, end = self._at // 8, self._at + count
        last = -(-end // 8)
        if end > 8 * len(self._data):
            raise ValueError("cut off")
        self._at = end
        return int.from_bytes(self._data[first:last]) >> (8 * last - end) & ((1 << count) - 1)

    def bytes(self, count: int) -> bytes:
        """The next bytes, wherever in a byte they start."""
        return self.read(8 * count).to_bytes(count)
