"""Leases in memory: one role of `MemoryState`, the reference."""

from syncd.ports import Clock


class MemoryLeases:
    """See `ports.Leases`."""

    _clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self._leases: dict[str, tuple[str, float]] = {}

    async def hold(self, name: str, *, holder: str, seconds: float) -> bool:
        """See `Leases.hold`."""
        now = self._clock.now()
        other, until = self._leases.get(name, (holder, now))
        if other != holder and until > now:
            return False
        self._leases[name] = (holder, now + seconds)
        return True

    async def holders(self, prefix: str) -> dict[str, str]:
        """See `Leases.holders`."""
        now = self._clock.now()
        held = {name: holder for name, (holder, until) in self._leases.items() if until > now}
        return {name: held[name] for name in sorted(held) if name.startswith(prefix)}

    async def release(self, name: str, *, holder: str) -> None:
        """See `Leases.release`."""
        if self._leases.get(name, ("", 0.0))[0] == holder:
            del self._leases[name]
