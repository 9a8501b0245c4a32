"""Time, as a port."""

from typing import Protocol


class Clock(Protocol):
    """Time, passed in. Tests bring a virtual one."""

    def now(self) -> float:
        """Unix seconds that never run backwards within a process, whatever the wall clock does."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...
