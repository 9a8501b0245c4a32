"""Notes of probe objects: that an event of `.syncd-probe-…` arrived, and when, for `syncd bucket check` to read.

The assembly notes them on the way to the marks; nothing ever becomes of a probe, because no selection accepts its
name. The state keeps the last few of each bucket under one name, so they never add up.
"""

import json
from collections.abc import Mapping, Sequence

from syncd.domain.routing import is_probe
from syncd.ports import Clock, Seen, StateStore

KEPT = 20


class Probes:
    """The probes one process heard of."""

    def __init__(self, state: StateStore, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._seen: dict[str, dict[str, float]] = {}

    async def note(self, seen: Sequence[Seen]) -> None:
        """Write down the first event of each probe; durable on return."""
        probes = [ref for ref, _ in seen if is_probe(ref.key)]
        for bucket in {ref.bucket for ref in probes}:
            known = self._seen.get(bucket) or await heard(self._state, bucket)  # others may have heard of it
            new = dict.fromkeys((r.key for r in probes if r.bucket == bucket and r.key not in known), self._clock.now())
            if new:
                kept = dict([*known.items(), *new.items()][-KEPT:])
                await self._state.put(_name(bucket), json.dumps(kept))
                self._seen[bucket] = kept


async def heard(state: StateStore, bucket: str) -> Mapping[str, float]:
    """Probe keys of a bucket and when (unix seconds) their first event had arrived."""
    found: dict[str, float] = json.loads(await state.get(_name(bucket)) or "{}")
    return found


def _name(bucket: str) -> str:
    return f"probes:{bucket}"
