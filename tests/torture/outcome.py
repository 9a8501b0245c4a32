"""What a scenario found, and the table of all of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.torture.comparison import Comparison

EVERYTHING = ("objects", "tasks", "annotations", "rows", "versions")
UNANSWERED = ("objects", "tasks")
"""Where nobody annotates."""


@dataclass
class Outcome:
    """`faults`: how often each kind was really injected; `did`: what went on meanwhile. `notes`: figures to be read."""

    scenario: str
    faults: Counter[str]
    did: Counter[str] = field(default_factory=Counter)
    comparison: Comparison = field(default_factory=Comparison)
    notes: list[str] = field(default_factory=list)
    required: Sequence[str] = ()
    """Kinds of faults without which the scenario shows nothing."""
    shown: Sequence[str] = EVERYTHING
    """The sets that it claims to be equal; where one is empty, it shows nothing."""

    @property
    def wrong(self) -> list[str]:
        """What is not as it has to be; a fault that never happened is one, too."""
        missing = [f"never injected: {kind}" for kind in self.required if not self.faults[kind]]
        if not self.faults.total():
            missing.append("no fault was injected")
        if "annotations" in self.shown and not self.did["annotation made"]:
            missing.append("nobody annotated meanwhile")
        if not self.comparison.wrong:
            missing += [f"none to compare: {name}" for name in self.shown if not self.comparison.sizes.get(name)]
        return missing + self.comparison.wrong


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a row for each scenario."""
    head = "| scenario | faults injected | meanwhile | sets compared | result |\n|---|---|---|---|---|"
    return "\n".join([head, *map(_line, outcomes)])


def _line(outcome: Outcome) -> str:
    wrong = outcome.wrong
    result = f"**{len(wrong)} wrong**" if wrong else "equal"
    cells = (outcome.faults, outcome.did, outcome.comparison.sizes)
    return f"| {outcome.scenario} | {' | '.join(map(_counts, cells))} | {result} |"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items()) or "none"
