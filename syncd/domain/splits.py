"""Which objects are trained on and which are kept to test: train, val and test by a stable hash.

Used by the snapshot stores when rows are committed. Pure. An assignment is a function of the group alone (and, when
stratified, of what was assigned before), so an object never changes its split when others are added.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Splits:
    """How objects are divided. `shares` by split name; they add up to 1, and their order is the order of the hash.

    `group`: a regular expression searched in the key; what its first group matches (or the whole match) goes into
    one split together. A key that it does not match is its own group. `stratify`: keep the labels' shares alike.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1})
    group: str | None = None
    stratify: bool = False

    def group_of(self, key: str) -> str:
        """The group a key belongs to."""
        match = re.search(self.group, key) if self.group else None
        return key if match is None else match.group((match.lastindex and 1) or 0)
