"""Small values that outlive a process. One role of every state store."""

from typing import Protocol


class Cursors(Protocol):
    """Small durable values: how far an incremental listing was read, secrets of our webhooks."""

    async def get(self, name: str) -> str | None:
        """The value, or None."""
        ...

    async def put(self, name: str, value: str) -> None:
        """Set the value; durable on return."""
        ...

    async def put_once(self, name: str, value: str) -> str:
        """Set the value where there is none yet; the value that is there then, for all who call. Durable on return."""
        ...
