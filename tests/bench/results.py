"""Figures that are kept: results.json holds them, RESULTS.md and results.svg are made from it.

Called by `python -m tests.bench --save`. Each bench has a section of its own with the day, the commit and the machine
of its measurement; saving one leaves the others as they are.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.goals import Goal, markdown
from tests.bench.picture import picture

FOLDER = Path(__file__).parent
_HEAD = """# Benchmarks

Made by `python -m tests.bench [NAME …] --save`; every figure was measured by that command. Ratios are medians of
interleaved pairs, both sides on the same machine in the same run, so they hold where absolute rates do not.

![How many times better than its goal each figure is](results.svg)
"""


@dataclass(frozen=True)
class Section:
    """What one bench found, and when and where."""

    goals: Sequence[Goal]
    day: str
    commit: str
    machine: str

    def markdown(self, name: str) -> str:
        """As it stands in RESULTS.md."""
        return f"## {name}\n\n{markdown(self.goals)}\n\n{self.day}, commit {self.commit}, {self.machine}.\n"


def save(name: str, goals: Sequence[Goal], machine: str, folder: Path = FOLDER) -> None:
    """Keep what a bench found in place of what it found before."""
    sections = load(folder)
    sections[name] = Section(goals, datetime.now(UTC).date().isoformat(), _commit(), machine)
    sections = dict(sorted(sections.items()))
    kept = {name: asdict(section) for name, section in sections.items()}
    _write(folder / "results.json", json.dumps(kept, indent=1, ensure_ascii=False))
    _write(folder / "RESULTS.md", "\n".join([_HEAD, *(section.markdown(name) for name, section in sections.items())]))
    _write(folder / "results.svg", picture(goals_of(sections)))


def load(folder: Path = FOLDER) -> dict[str, Section]:
    """The sections kept, by bench."""
    path = folder / "results.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: Section(**{**told, "goals": [Goal(**row) for row in told["goals"]]}) for name, told in kept.items()}


def goals_of(sections: Mapping[str, Section]) -> dict[str, Sequence[Goal]]:
    """Only the figures, by bench."""
    return {name: section.goals for name, section in sections.items()}


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def _commit() -> str:
    """The commit measured; it says so where the product differs from it."""
    changes = ", with changes" if _git("status", "--porcelain", "--", "syncd") else ""
    return (_git("rev-parse", "--short", "HEAD") or "unknown") + changes


def _git(*what: str) -> str:
    told = subprocess.run(("git", *what), cwd=FOLDER.parent.parent, capture_output=True, text=True, check=False)
    return told.stdout.strip()
