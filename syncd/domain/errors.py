"""Errors, named by what to do next. Raised by adapters and flows; turned into settlements by the worker.

Anything that is not one of these is a bug: it ends the process, and a supervisor starts it again.
Messages are for people and end up in logs and dead letters: they never hold a secret, nor a raw server
answer, and they say what to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class SyncdError(Exception):
    """The root of all expected errors. `adapter`: which port it came through, where it came through one."""

    verdict: ClassVar[str] = "error"
    adapter: str = ""

    @property
    def cause(self) -> str:
        """Who failed and how, as one word of few: `annotator_retryable`. Free text makes no metric."""
        return f"{self.adapter or 'flow'}_{self.verdict}"


class Retryable(SyncdError):
    """Try again later: the other side is down, slow or busy.

    `retry_after` is the other side's wish in seconds, if it named one. `effect_possible` is False only
    where the request certainly changed nothing (connection refused, 429); otherwise an outside effect may
    have happened and has to be looked up before it is repeated.
    """

    verdict = "retryable"

    def __init__(self, message: str, *, retry_after: float | None = None, effect_possible: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.effect_possible = effect_possible


class Conflict(SyncdError):
    """The world moved in between: read again and decide again, at once."""

    verdict = "conflict"


class Rejected(SyncdError):
    """It can never succeed as it is: a person must look. The subject becomes a dead letter.

    `problems` names the offending items of a batch by their index, where the other side told; the rest of
    that batch had no effect either and may be sent again without them.
    """

    verdict = "rejected"

    def __init__(self, message: str, *, problems: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.problems = dict(problems or {})


class TooLarge(Rejected):
    """An object has more bytes than may be read of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: where, what was found, what is allowed."""

    field: str
    found: str
    allowed: str

    def __str__(self) -> str:
        """One line for a terminal."""
        found = f" (found {self.found})" if self.found else ""
        return f"{self.field}: {self.allowed}{found}"


class ConfigError(SyncdError):
    """The configuration, or what it points at, cannot work: exit 78 before anything starts."""

    verdict = "config"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def below(self, place: str) -> "ConfigError":
        """The same problems, their fields under `place`: an adapter knows its options, not where they stand."""
        return ConfigError([Problem(f"{place}.{p.field}", p.found, p.allowed) for p in self.problems])
