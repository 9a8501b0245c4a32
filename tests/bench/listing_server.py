"""A served fake of one S3 bucket for the bench: real ListObjectsV2 pages over HTTP, made from a number, never signed.

`python -m tests.bench.listing_server COUNT` prints its port and serves until it is ended. Object `n` has the key
`key_of(n)` and the etag `etag_of(n)`; keys are in order. In a process of its own, so that its CPU is not counted; and
the pages are made before, in a file, so that making them holds nobody up.
"""

import asyncio
import sys
import tempfile
from contextlib import suppress
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 1_000
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>bench</Name><Prefix></Prefix><KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys>"
    "<EncodingType>url</EncodingType><IsTruncated>{more}</IsTruncated>"
)
_ROW = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-20T12:00:00.000Z</LastModified>"
    "<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
_HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"


def key_of(number: int) -> str:
    """The key of an object; the order of numbers is that of keys."""
    return f"photos/2026/{number // PAGE:06d}/image-{number:09d}.jpg"


def etag_of(number: int) -> str:
    """Its etag, without quotes."""
    return f"{number:032x}"


def size_of(number: int) -> int:
    """Its size, bytes."""
    return 10_000 + number % 1_000


def page(start: int, count: int) -> bytes:
    """The listing from object `start` on, of `count` in all."""
    end = min(start + PAGE, count)
    rows = (_ROW.format(key=key_of(n), etag=etag_of(n), size=size_of(n)) for n in range(start, end))
    more = end < count
    token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
    head = _HEAD.format(count=end - start, more=str(more).lower())
    return f"{head}{''.join(rows)}{token}</ListBucketResult>".encode()


def _start(query: dict[str, list[str]]) -> int:
    if token := query.get("continuation-token"):
        return int(token[0])
    after = unquote(query.get("start-after", [""])[0])
    return int(after.rpartition("-")[2].removesuffix(".jpg")) + 1 if after else 0


def _made(count: int, file: BinaryIO) -> list[int]:
    """All pages, one behind the other; where each begins, and the end."""
    begins = [0]
    for start in range(0, count, PAGE):
        begins.append(begins[-1] + file.write(page(start, count)))
    file.flush()
    return begins


async def _serve(count: int, file: BinaryIO) -> None:
    begins = _made(count, file)
    loop = asyncio.get_running_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                number = _start(parse_qs(urlsplit(request.split(b" ", 2)[1].decode()).query)) // PAGE
                begin, size = begins[number], begins[number + 1] - begins[number]
                writer.write(_HTTP % size)
                await loop.sendfile(writer.transport, file, begin, size)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with tempfile.TemporaryFile(prefix="syncd-bench-") as pages:
        asyncio.run(_serve(int(sys.argv[1]), pages))
