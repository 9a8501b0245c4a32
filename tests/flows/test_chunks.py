"""Chunks of a listing: whatever the pages they are put together from, the objects in them are the same."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from syncd.domain.errors import Retryable
from syncd.domain.model import ObjectRef, Observation, Part
from syncd.flows.reconcile.chunks import Chunk, chunked
from syncd.ports import KnownVersion, Listed, Seen

PLAIN = Listed("s3://b", 7.0, [("a", "e1", 1, None), ("b", "e2", 2, "v2")], settled=False)
MADE: list[Seen] = [(ObjectRef("s3://b", "c"), Observation(8.0, "e3", size=3))]
ROWS: list[KnownVersion] = [("a", "e1", None, "active", False), ("b", "e2", "v2", "active", False)]


def chunk_of(*pages: Sequence[Seen]) -> Chunk:
    chunk = Chunk()
    for page in pages:
        chunk.add(page)
    return chunk


def seen(chunk: Chunk) -> list[Seen]:
    return [chunk.seen(place) for place in range(len(chunk.keys))]


def test_a_plain_page_is_the_sequence_of_what_was_seen() -> None:
    first = ObjectRef("s3://b", "a"), Observation(7.0, "e1", size=1, settled=False)
    second = ObjectRef("s3://b", "b"), Observation(7.0, "e2", "v2", size=2, settled=False)
    assert list(PLAIN) == [first, second]
    assert (PLAIN[1], PLAIN[-1], list(PLAIN[1:]), len(PLAIN)) == (second, second, [second], 2)


@pytest.mark.parametrize("pages", [(PLAIN, MADE), ([], [*PLAIN], [], MADE, [])], ids=["plain", "made, and empty ones"])
def test_pages_of_either_kind_are_compared_and_looked_at_alike(pages: Sequence[Sequence[Seen]]) -> None:
    chunk = chunk_of(*pages)
    assert (chunk.keys, chunk.etags, chunk.version_ids) == (["a", "b", "c"], ["e1", "e2", "e3"], [None, "v2", None])
    assert seen(chunk) == [*PLAIN, *MADE]
    assert seen(chunk.part(1, 3)) == [PLAIN[1], *MADE]
    assert seen(chunk.part(1, 3).part(1, 2)) == MADE
    assert chunk_of(MADE, PLAIN).in_key_order().keys == chunk.keys


def test_objects_are_known_when_all_that_is_compared_is_the_same() -> None:
    (a, b), chunk = ROWS, chunk_of(PLAIN)
    assert chunk.is_known(ROWS)
    for other in (
        ("x", *b[1:]),
        ("b", "other", *b[2:]),
        ("b", "e2", "v3", *b[3:]),
        (*b[:3], "retired", False),
        (*b[:4], True),
    ):
        assert not chunk.is_known([a, other])
    assert not chunk.is_known([a])
    assert not chunk_of().is_known([])


def test_a_version_id_is_compared_only_where_the_listing_tells_any() -> None:
    listed = chunk_of(Listed("s3://b", 7.0, [("b", "e2", 2, None)]))
    assert listed.is_known(ROWS[1:])


def test_objects_with_parts_are_looked_at_closer() -> None:
    ref, sight = PLAIN[1]
    whole = chunk_of([PLAIN[0], (ref, replace(sight, parts=(Part("meta", ref, "e9"),)))])
    assert (whole.of_parts, whole.is_known(ROWS)) == ({"b"}, False)


async def test_pages_before_an_error_are_brought_before_it_is_raised() -> None:
    async def pages() -> AsyncIterator[Sequence[Seen]]:
        for page in (PLAIN, MADE, MADE):
            yield page
        raise Retryable("the server is down")

    brought: list[list[str]] = []

    async def bring() -> None:
        async for chunk in chunked(pages(), 3):
            brought.append(chunk.keys)  # noqa: PERF401 - what was brought before the error counts

    with pytest.raises(Retryable, match="down"):
        await bring()
    assert brought == [["a", "b", "c"], ["c"]]
