"""Goals of the benchmarks: a figure each, what it should be, and a table of them.

Called by the benchmarks, which yield `Goal`s, and by `python -m tests.bench`, which prints them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """One row: `figure` in `unit` must be at most (or at least) `goal`; None: it is told for information.

    `detail` says what was measured beside what.
    """

    name: str
    figure: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the goal is reached."""
        if self.goal is None:
            return True
        return self.figure >= self.goal if self.at_least else self.figure <= self.goal

    @property
    def margin(self) -> float | None:
        """How many times better than asked: 1 just reaches the goal. None where no such ratio is."""
        if not self.goal:
            return None
        if self.at_least:
            return self.figure / self.goal
        return self.goal / self.figure if self.figure else None

    def cells(self) -> tuple[str, ...]:
        """Name, figure, goal, ok or short, detail."""
        verdict = "" if self.goal is None else "ok" if self.ok else "**short**"
        return self.name, self.told, self.wanted, verdict, self.detail

    @property
    def told(self) -> str:
        """The figure for people."""
        return self._text(self.figure)

    @property
    def wanted(self) -> str:
        """The goal for people; empty where there is none."""
        sign = "≥" if self.at_least else "≤"
        return "" if self.goal is None else f"{sign} {self._text(self.goal)}"

    def _text(self, number: float) -> str:
        digits = f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
        return f"{digits} {self.unit}".strip()


def markdown(goals: Sequence[Goal]) -> str:
    """The goals as a table."""
    head = ("goal", "figure", "wanted", "", "measured")
    return "\n".join(_line(cells) for cells in (head, ("---",) * len(head), *(goal.cells() for goal in goals)))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
