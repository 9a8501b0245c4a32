"""Leases: what several daemons on one state agree on. One role of every state store."""

from typing import Protocol


class Leases(Protocol):
    """What only one of several daemons should do at a time: the reconcile of a dataset, housekeeping.

    A courtesy that saves work, no fence: who is paused longer than its lease may find another at it when it goes on.
    """

    async def hold(self, name: str, *, holder: str, seconds: float) -> bool:
        """Take a lease for so long from now, or renew it; False: another holder has it, and it has not run out."""
        ...

    async def release(self, name: str, *, holder: str) -> None:
        """Give a lease back, if this holder has it. Idempotent."""
        ...

    async def holders(self, prefix: str) -> dict[str, str]:
        """Who holds the leases whose names begin so, by name, in order; those that have run out are left out."""
        ...
