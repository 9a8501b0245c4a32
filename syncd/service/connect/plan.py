"""What would be changed, before it is: a plan of changes to do, or a recipe of texts for a person to run."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `+` made, `~` altered, `-` removed. `act` does it; done again it does no harm."""

    sign: Literal["+", "~", "-"]
    what: str
    act: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes in the order in which they are to be done. `stands`: what is there as it should be; `notes`: advice."""

    changes: Sequence[Change]
    stands: Sequence[str] = ()
    notes: Sequence[str] = ()

    async def carry_out(self, tell: Callable[[Change], None]) -> None:
        """Do it all, telling each change once it is done. Stops at the first that fails; it can be planned anew."""
        for change in self.changes:
            await change.act()
            tell(change)


@dataclass(frozen=True, slots=True)
class Text:
    """Something to run or to keep elsewhere. `language`: sh, hcl, toml or json."""

    heading: str
    language: Literal["sh", "hcl", "toml", "json"]
    text: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a person does where syncd cannot, or must not."""

    texts: Sequence[Text]
    notes: Sequence[str] = field(default=())
