"""Lance's filters are SQL text: what goes into one. Pure."""

from collections.abc import Sequence

MANY = 20_000
"""Values in one filter: its text stays below a megabyte or so."""


def is_in(column: str, literals: Sequence[str]) -> str:
    """The condition that a column is one of these literals."""
    return f"{column} IN ({','.join(literals)})"


def quoted(text: str) -> str:
    """Text as a literal."""
    return "'" + text.replace("'", "''") + "'"
