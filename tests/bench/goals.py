"""Goals of the benchmarks: a figure each, what it should be, and a table of them.

Called by the benchmarks, which yield `Goal`s, and by `python -m tests.bench`, which prints them.
"""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


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

    def cells(self) -> tuple[str, ...]:
        """Name, figure, goal, ok or short, detail."""
        sign = "≥" if self.at_least else "≤"
        wanted = "" if self.goal is None else f"{sign} {self._text(self.goal)}"
        verdict = "" if self.goal is None else "ok" if self.ok else "**short**"
        return self.name, self._text(self.figure), wanted, verdict, self.detail

    def _text(self, number: float) -> str:
        digits = f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
        return f"{digits} {self.unit}".strip()


def markdown(goals: Sequence[Goal]) -> str:
    """The goals as a table."""
    head = ("goal", "figure", "wanted", "", "measured")
    return "\n".join(_line(cells) for cells in (head, ("---",) * len(head), *(goal.cells() for goal in goals)))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Where it was measured: processor, cores, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB, {platform.platform()}, Python {platform.python_version()}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
