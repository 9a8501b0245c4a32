"""A merge join of two sorted streams of pages, in constant memory. Used by `reconcile` only."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from syncd.domain.errors import SyncdError

L = TypeVar("L")
R = TypeVar("R")
T = TypeVar("T")
Key = Any
"""Anything that orders: bytes for object keys, int for task ids."""


async def merge_join(
    left: AsyncIterator[Sequence[L]],
    right: AsyncIterator[Sequence[R]],
    left_key: Callable[[L], Key],
    right_key: Callable[[R], Key],
) -> AsyncGenerator[tuple[list[L], list[R]]]:
    """Yield what both sides have under each key, in key order; one of the two lists may be empty.

    Both streams must be sorted by their key; equal keys are gathered.
    """
    async with aclosing(_groups(left, left_key)) as lefts, aclosing(_groups(right, right_key)) as rights:
        a, b = await anext(lefts, None), await anext(rights, None)
        while a or b:
            take_a = a is not None and (b is None or a[0] <= b[0])
            take_b = b is not None and (a is None or b[0] <= a[0])
            yield a[1] if a and take_a else [], b[1] if b and take_b else []
            if take_a:
                a = await anext(lefts, None)
            if take_b:
                b = await anext(rights, None)


async def _groups(pages: AsyncIterator[Sequence[T]], key: Callable[[T], Key]) -> AsyncGenerator[tuple[Key, list[T]]]:
    """Runs of equal keys."""
    current: Key = None
    group: list[T] = []
    async for page in pages:
        for item in page:
            if group and (found := key(item)) != current:
                yield current, group
                group, current = [item], found
            elif group:
                group.append(item)
            else:
                group, current = [item], key(item)
    if group:
        yield current, group


async def in_batches(items: AsyncIterator[T], size: int) -> AsyncGenerator[list[T]]:
    """Lists of up to `size` items. What came before an expected error is yielded before it is raised."""
    batch: list[T] = []
    try:
        async for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except SyncdError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
