"""How often a proxy does what to the requests that pass it, and how often it did."""

import random
from collections import Counter
from dataclasses import dataclass, field

RESET, RESET_WITHIN, CUT = "reset", "reset within the answer", "cut after the commit"
ERROR, TRUNCATED, DELAYED, TRICKLED = "error answered", "truncated", "delayed", "trickled"
STATUSES = (429, 500, 503)

SHARES = {RESET: 0.10, RESET_WITHIN: 0.05, CUT: 0.05, ERROR: 0.05, TRUNCATED: 0.03, TRICKLED: 0.03}
"""Of all requests; together with delays, which may meet any of them."""


@dataclass
class Mischief:
    """`delayed`: the share of requests that are held up, for up to `longest` seconds. `active`: while it goes on."""

    seed: int
    shares: dict[str, float] = field(default_factory=SHARES.copy)
    delayed: float = 0.35
    longest: float = 0.2
    active: bool = True
    done: Counter[str] = field(default_factory=Counter)
    passed: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def next_fault(self) -> str:
        """What happens to the next request; empty where nothing does."""
        self.passed += 1
        if not self.active:
            return ""
        luck = self._chance.random()
        for kind, share in self.shares.items():
            if luck < share:
                return kind
            luck -= share
        return ""

    def next_delay(self) -> float:
        """For how many seconds it is held up."""
        if not self.active or self._chance.random() >= self.delayed:
            return 0.0
        self.done[DELAYED] += 1
        return self._chance.uniform(0, self.longest)

    def next_error(self) -> bytes:
        """An error in place of an answer; every second one says when to come back."""
        status = self._chance.choice(STATUSES)
        after = self._chance.choice((b"", b"Retry-After: 1\r\n"))
        return b"HTTP/1.1 %d Trouble\r\n%sContent-Type: text/plain\r\nContent-Length: 7\r\n\r\ntrouble" % (
            status,
            after,
        )

    def part_of(self, length: int) -> int:
        """Where an answer breaks off."""
        return self._chance.randrange(max(1, length))
