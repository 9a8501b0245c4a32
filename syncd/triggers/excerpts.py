"""Excerpts of what a target said, for the delivery log: short, on one line, without secrets.

Used by the targets. What we sent may come back, so every value that may be secret is taken out.
"""

from collections.abc import Iterable

CHARACTERS = 300
_SHORTEST = 8  # shorter words say nothing, and stand in many texts


def beginning(said: bytes, hidden: Iterable[str], *, whole: bool) -> str:
    """The first characters. `whole`: nothing was cut off behind; else the last word may be half a secret."""
    words = _words(said, hidden)
    return " ".join(words if whole else words[:-1])[:CHARACTERS]


def end(said: bytes, hidden: Iterable[str], *, whole: bool) -> str:
    """The last characters. `whole`: nothing was cut off before; else the first word may be half a secret."""
    words = _words(said, hidden)
    return " ".join(words if whole else words[1:])[-CHARACTERS:]


def _words(said: bytes, hidden: Iterable[str]) -> list[str]:
    text = said.decode(errors="replace")
    values = {part for value in hidden for part in (value, *value.split()) if len(part) >= _SHORTEST}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "…")
    return "".join(character if character.isprintable() else " " for character in text).split()
