"""A process that stands still at one point, for tests of flows."""

from collections.abc import Awaitable, Callable
from typing import Any


class Sleeper:
    """A port whose method `name` is asleep once, while something else happens: before it is done, or after it."""

    def __init__(self, inner: Any, name: str, meanwhile: Callable[[], Awaitable[Any]], *, after: bool = False) -> None:
        self._inner, self._name, self._meanwhile, self._after = inner, name, meanwhile, after

    def __getattr__(self, name: str) -> Any:
        if name != self._name:
            return getattr(self._inner, name)
        self._name = ""

        async def call(*args: Any, **options: Any) -> Any:
            if self._after:
                done = await getattr(self._inner, name)(*args, **options)
                await self._meanwhile()
                return done
            await self._meanwhile()
            return await getattr(self._inner, name)(*args, **options)

        return call
