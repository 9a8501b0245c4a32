"""A manifest's bytes → its rows, as JSON objects. Blocking; used by `views.rows` in a thread.

The end of its key says what it is: `.jsonl` or `.ndjson`, `.csv` or `.tsv` (with a header), `.parquet`; each but the
last may be packed (`.gz`). It is read as a stream, and what is in it may be at most `limit` bytes when unpacked: what
unpacks to more is refused there, not when it has filled the memory. One bad row refuses the whole manifest: half of it
read would look as if the other half had left.
"""

import csv
import io
import zlib
from collections.abc import Iterator
from typing import Any

import orjson

from syncd.domain.decoding import NotJsonError, strict_json
from syncd.domain.errors import Rejected
from syncd.domain.model import JsonObject

FORMATS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
PIECE = 1 << 16
BATCH = 256
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def format_of(key: str) -> str:
    """The ending that says how a manifest is read. Rejected: none of those known."""
    name = key.lower().removesuffix(".gz")
    found = next((ending for ending in FORMATS if name.endswith(ending)), None)
    if found is None or (found == ".parquet" and name != key.lower()):
        raise Rejected(f"the manifest {key!r} is of no known kind: its key has to end in {', '.join(FORMATS)}")
    return found


def rows(key: str, data: bytes, *, limit: int, most: int) -> Iterator[JsonObject]:
    """Its rows in order. Rejected names the row that is wrong, or the limit that was passed."""
    ending = format_of(key)
    if ending == ".parquet":
        found = _parquet(data, limit)
    else:
        text = _text(data, limit, packed=key.lower().endswith(".gz"))
        found = _separated(text, _SEPARATORS[ending]) if ending in _SEPARATORS else _lines(text)
    for number, row in enumerate(found, 1):
        if number > most:
            raise Rejected(f"the manifest has more rows than manifest_rows = {most} allows; split it")
        yield row


def _text(data: bytes, limit: int, *, packed: bool) -> io.TextIOBase:
    raw = io.BytesIO(b"".join(_unpacked(data, limit)) if packed else data)
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _unpacked(data: bytes, limit: int) -> Iterator[bytes]:
    """Gzip, member by member, never more than the limit in all."""
    left = limit
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            try:
                piece = unpacker.decompress(data, PIECE)
            except zlib.error:
                raise Rejected("the manifest is no gzip, though its key ends in .gz") from None
            data = unpacker.unconsumed_tail
            left -= len(piece)
            if left < 0:
                raise _too_large(limit)
            if not piece and not data and not unpacker.eof:
                raise Rejected("the manifest ends in the middle of its gzip; is its upload finished?")
            yield piece
        data = unpacker.unused_data.lstrip(b"\0")


def _lines(text: io.TextIOBase) -> Iterator[JsonObject]:
    for number, line in _readable(enumerate(text, 1)):
        if not line.strip():
            continue
        try:
            row = strict_json(line)
        except NotJsonError as error:
            raise Rejected(f"line {number} of the manifest is no JSON ({error})") from None
        if not isinstance(row, dict):
            raise Rejected(f"line {number} of the manifest is no JSON object")
        yield row


def _separated(text: io.TextIOBase, separator: str) -> Iterator[JsonObject]:
    reader = csv.reader(text, delimiter=separator, strict=True)
    lines = _readable((reader.line_num, cells) for cells in reader)
    _, header = next(lines, (0, []))
    if len(set(header)) != len(header) or "" in header:
        raise Rejected("the first line of the manifest has to name each column, each once")
    for number, cells in lines:
        if not cells:
            continue
        if len(cells) != len(header):
            raise Rejected(f"line {number} of the manifest has {len(cells)} cells, its header {len(header)}")
        yield dict(zip(header, cells, strict=True))


def _readable(items: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from items
    except UnicodeDecodeError:
        raise Rejected("the manifest is not UTF-8; convert it") from None
    except csv.Error as error:
        raise Rejected(f"the manifest is no valid CSV ({error})") from None


def _parquet(data: bytes, limit: int) -> Iterator[JsonObject]:
    """Texts stay in their dictionaries until a row is taken: one long text under a million rows is one text here."""
    import pyarrow as pa  # noqa: PLC0415 - only who reads Parquet needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        schema = pq.read_schema(pa.BufferReader(data))
        texts = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
        if sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)) > limit:
            raise _too_large(limit)
        left = limit
        for batch in file.iter_batches(batch_size=BATCH):
            for index in range(batch.num_rows):
                row = {name: batch.column(at)[index].as_py() for at, name in enumerate(batch.schema.names)}
                left -= len(packed := _packed(row))
                if left < 0:
                    raise _too_large(limit)
                yield orjson.loads(packed)
    except pa.ArrowException as error:
        raise Rejected(f"the manifest is no valid Parquet ({str(error).splitlines()[0][:200]})") from None


def _packed(row: JsonObject) -> bytes:
    """As JSON; times and decimals become texts."""
    try:
        return orjson.dumps(row, default=_as_text)
    except TypeError as error:
        raise Rejected(f"a row of the manifest cannot be JSON: {error}") from None


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        raise TypeError("a column of bytes; put them into objects, and link to those")
    return str(value)


def _too_large(limit: int) -> Rejected:
    return Rejected(f"the manifest unpacks to more than manifest_limit ({limit} bytes); split it, or raise the limit")
