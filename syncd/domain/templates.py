"""Datasets whose names stand in the keys of their objects. Pure.

`[datasets.teams]` with a `key_pattern` is no dataset, but the template of those that the pattern finds: the first
object of `teams/cats/` makes the dataset `cats`. Names are checked as those of the configuration are, and their number
is bounded: keys are written by others.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from syncd.domain.errors import ConfigError, Problem

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
"""What a dataset may be called."""

GROUP = "dataset"


class KeyPattern:
    """Finds the name of the dataset that a key belongs to. ConfigError (field `key_pattern`): it cannot."""

    def __init__(self, pattern: str) -> None:
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise _problem(pattern, f"must be a regular expression: {error}") from None
        if GROUP not in self._pattern.groupindex:
            raise _problem(pattern, f"must have a group (?P<{GROUP}>...), as in '^teams/(?P<{GROUP}>[a-z0-9_-]+)/'")

    def name(self, key: str) -> str | None:
        """The name; None where the pattern finds none. It is not checked yet."""
        found = self._pattern.search(key)
        return found[GROUP] if found else None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What may become of a name that a key brought. `taken`: names of datasets of other tables; `most`: of this one."""

    taken: Collection[str]
    most: int

    def refuses(self, name: str, known: Collection[str]) -> str:
        """Why no dataset of that name is made; empty where it may be, or is there."""
        if name in known:
            return ""
        if not NAME.fullmatch(name):
            return "a name has 1 to 50 of a-z, 0-9, _ and -, and does not begin with _ or -"
        if name in self.taken:
            return "another table of the configuration has that name"
        if len(known) >= self.most:
            return f"there are {len(known)} already, and most = {self.most}; raise it, or narrow key_pattern"
        return ""


def _problem(pattern: str, allowed: str) -> ConfigError:
    return ConfigError([Problem("key_pattern", repr(pattern), allowed)])
