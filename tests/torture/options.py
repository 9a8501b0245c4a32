"""What a run is asked for, given to every scenario."""

import sys
import time
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`kills`, `rounds` (deaths at each failpoint) and `minutes` (of a bad network) are the sizes of a run.

    `settle`: seconds for which an import of unknown fate is looked up; short ones suit small runs on a quiet machine.
    `state`: URL of an empty PostgreSQL database; without, the state is a SQLite file. `objects`: of a burst.
    """

    kills: int = 500
    rounds: int = 20
    minutes: float = 30.0
    objects: int = 100_000
    seed: int = 1
    settle: float = 15.0
    state: str = ""
    quiet: bool = False

    def progress(self, number: int, of: int, faults: Counter[str]) -> None:
        """Say now and then how far it is."""
        if not self.quiet and (number + 1) % max(1, of // 20) == 0:
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {number + 1} of {of}: {dict(faults)}\n")
