"""Turns of one route do not wait for another's; bodies are unpacked whatever pieces they come in, or refused."""

import asyncio
import gzip
import zlib
from collections.abc import Callable

import pytest

from syncd.domain.errors import Retryable
from syncd.sources.bodies import _BARE, _GZIP, _ZLIB, _Packed
from syncd.sources.turns import _AT_ONCE, Turns

LARGE = _AT_ONCE + 1


class Line:
    """Who got a turn, in order; each keeps it until `go` is set."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.got: list[str] = []
        self.go = asyncio.Event()

    def join(self, name: str, size: int, route: str = "/a") -> asyncio.Task[None]:
        async def stand() -> None:
            with await self.turns.of(route, size):
                self.got.append(name)
                await self.go.wait()

        return asyncio.create_task(stand())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_small_ones_go_together_a_large_one_alone_and_none_overtakes() -> None:
    line = Line()
    tasks = [line.join("small", 10), line.join("small too", 10), line.join("large", LARGE), line.join("late", 10)]
    await settle()
    assert line.got == ["small", "small too"]
    line.go.set()
    await asyncio.gather(*tasks)
    assert line.got == ["small", "small too", "large", "late"]


async def test_another_route_does_not_wait() -> None:
    line = Line()
    tasks = [line.join("flood", LARGE), line.join("flood too", LARGE), line.join("other", 10, "/b")]
    await settle()
    assert line.got == ["flood", "other"]
    line.go.set()
    await asyncio.gather(*tasks)


async def test_who_waits_too_long_is_to_come_again_and_who_leaves_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("syncd.sources.turns._PATIENCE_S", 0.05)
    line = Line()
    first, left, late = line.join("first", LARGE), line.join("left", LARGE), line.join("late", LARGE)
    await settle()
    left.cancel()
    with pytest.raises(Retryable, match="more comes from one sender"):
        await late
    line.go.set()
    await first
    async with asyncio.timeout(1):
        await line.join("again", LARGE)
    assert line.got == ["first", "again"]


# ------------------------------------------------------------ packed bodies

TEXT = b"a notification " * 9_000 + bytes(range(256))


def _bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=_BARE)
    return packer.compress(data) + packer.flush()


PACKED: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip": (_GZIP, gzip.compress),
    "two members": (_GZIP, lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "deflate": (_ZLIB, zlib.compress),
    "bare deflate": (_ZLIB, _bare),
    "zeros": (_GZIP, lambda data: gzip.compress(bytes(len(data)))),
}


def unpacked(wbits: int, data: bytes, step: int) -> bytes:
    body = _Packed(wbits)
    found = b"".join(p for at in range(0, len(data), step) for p in body.pieces(data[at : at + step]))
    body.end()
    return found


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_packed_body_is_the_same_whatever_pieces_it_comes_in(name: str, step: int) -> None:
    wbits, pack = PACKED[name]
    assert unpacked(wbits, pack(TEXT), step) == (bytes(len(TEXT)) if name == "zeros" else TEXT)


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_body_that_is_cut_off_or_goes_on_is_refused(name: str) -> None:
    wbits, pack = PACKED[name]
    for broken in (pack(TEXT)[:-1], pack(TEXT)[:-9], pack(TEXT) + b"x", b"x" + pack(TEXT)):
        with pytest.raises(zlib.error):
            unpacked(wbits, broken, 1 << 20)
    assert unpacked(wbits, b"", 1) == b""
