"""Where events of versions and tags go."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from syncd.domain.deliveries import Answer
from syncd.domain.model import JsonObject
from syncd.domain.triggers import Conditions, Interest

Publish = Callable[[str, Path, Mapping[str, Any]], Awaitable[None]]
"""Write the version of a URI into a folder, whole or not at all; nothing to do where it is there.

How: `format`, `media` and `options`, as `syncd.export_snapshot` takes them; raises what that raises.
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a target is made with besides its options. `folder`: its own, for logs and locks; made on first use."""

    dataset: str
    trigger: str
    folder: Path
    publish: Publish


class Target(Protocol):
    """What a trigger does with an event: call a webhook, run a command, write an export."""

    attempts: int | None
    """After so many failed tries it is given up; None: only after the time that all deliveries have."""

    async def check(self) -> None:
        """ConfigError when it can never work, such as a secret that is missing. Sends nothing."""
        ...

    async def deliver(self, event: JsonObject) -> Answer:
        """Try once. At least once: the same event may come again, with the same `id`.

        Never called twice at once for one trigger. Raises Retryable and ConfigError (again later), Rejected (never
        again). When cancelled it ends what it started before it returns.
        """
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Trigger:
    """One configured trigger of a dataset."""

    name: str
    interest: Interest
    conditions: Conditions
    target: Target
