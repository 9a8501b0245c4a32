"""Gathers a plan: what is to be changed, what stands, and what a person should know."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from syncd.service.connect.plan import Change, Plan

Act = Callable[[], Awaitable[None]]


@dataclass
class Draft:
    """A plan in the making."""

    changes: list[Change] = field(default_factory=list)
    stands: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def change(self, sign: Literal["+", "~", "-"], what: str, act: Act) -> None:
        """Something is to be changed."""
        self.changes.append(Change(sign, what, act))

    def stand(self, what: str) -> None:
        """Something is as it should be."""
        self.stands.append(what)

    def note(self, what: str) -> None:
        """Something to know."""
        self.notes.append(what)

    def plan(self) -> Plan:
        """What was gathered."""
        return Plan(tuple(self.changes), tuple(self.stands), tuple(self.notes))
