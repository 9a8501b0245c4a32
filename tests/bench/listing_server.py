"""A served fake of one S3 bucket for the bench: real ListObjectsV2 pages over HTTP, made from a number, never signed.

`python -m tests.bench.listing_server COUNT` prints its port and serves until it is ended. Object `n` has the key
`key_of(n)` and the etag `etag_of(n)`; keys are in order. In a process of its own, so that its CPU is not counted.
"""

import asyncio
import sys
from contextlib import suppress
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


async def _serve(count: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                target = request.split(b" ", 2)[1].decode()
                body = page(_start(parse_qs(urlsplit(target).query)), count)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
