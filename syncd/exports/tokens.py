"""Texts in tokens, by a rule that stands here and not in a library: so a version's bytes stay when a library changes.

Used by `conll` and `huggingface`. By Unicode's categories (of Python's `unicodedata`), without a language:

- a word is letters, digits and `_`, and may hold a single `.`, `,`, `-` or an apostrophe inside: `U.S`, `isn't`;
- every other character but white space is a token of its own;
- marks and format characters stay with what they follow (`é` in two code points, Indic vowels, skin tones), and a
  zero-width joiner holds both sides together (👩‍🚀).
"""

import re
import unicodedata
from functools import lru_cache

_INNER = ".,-'\u2019"
_JOINER = "\u200d"
_TOKEN = re.compile(r"(?:w[mj]*)+(?:i(?:w[mj]*)+)*|[pi](?:m|jp?)*|[mj]+")


def tokens(text: str) -> list[tuple[int, int]]:
    """Start and end of each token in code points; every character but white space is in one."""
    return [match.span() for match in _TOKEN.finditer("".join(map(_kind, text)))]


@lru_cache(maxsize=100_000)
def _kind(character: str) -> str:
    """w: of a word; i: may be inside one; m: mark; j: joiner; s: white space; p: any other."""
    category = unicodedata.category(character)
    if character.isspace():
        return "s"
    if character in _INNER:
        return "i"
    if character == _JOINER:
        return "j"
    if category[0] in "LN" or character == "_":
        return "w"
    return "m" if category[0] == "M" or category == "Cf" or "\U0001f3fb" <= character <= "\U0001f3ff" else "p"
