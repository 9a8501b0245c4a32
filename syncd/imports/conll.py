"""CoNLL: a token and its tag on each line, a blank line between sentences. https://aclanthology.org/W03-0419/

The first column is the token, the last its tag, in IOB2 or IOB1 (`B-PER`, `I-PER`, `O`), or with ends marked too, as
IOBES and BILOU do. Tabs stand between columns, or else spaces. A sentence's text is its tokens with a space between
them.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Span
from syncd.imports.base import Item, faulty

_TAG = re.compile(r"O|[BIESUL]-\S.*")
_BEGINS, _GOES_ON = frozenset("BSU"), frozenset("IEL")


def parse_conll(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The sentences of a file, each with its entities."""
    _ = config
    with path.open(encoding="utf-8-sig") as lines:
        for blank, group in groupby(enumerate(lines, 1), key=lambda line: not line[1].strip()):
            if not blank:
                sentence = [(number, _columns(line)) for number, line in group if not line.startswith("-DOCSTART-")]
                if sentence:
                    yield _sentence(path.name, sentence)


def _columns(line: str) -> list[str]:
    """Only at tabs where there are any: a token may hold a space, a no-break one at that."""
    return [column for column in re.split(r"\t+" if "\t" in line else " +", line.strip()) if column]


def _sentence(name: str, lines: list[tuple[int, list[str]]]) -> Item:
    for number, columns in lines:
        if len(columns) < 2 or not _TAG.fullmatch(columns[-1]):
            return faulty(
                f"{name}:{number}", f"needs a token and a tag, such as O or B-PER; found {' '.join(columns)!r}"
            )
    text = " ".join(columns[0] for _, columns in lines)
    spans = _spans(((columns[0], columns[-1]) for _, columns in lines), text)
    return Item("", tuple(spans), f"{name}:{lines[0][0]}", text)


def _spans(tokens: Iterable[tuple[str, str]], text: str) -> Iterator[Span]:
    at, start, label = 0, 0, ""
    end = 0
    for token, tag in tokens:
        kind, _, found = tag.partition("-")
        if label and (kind not in _GOES_ON or found != label):
            yield Span(labels=(label,), start=start, end=end, words=text[start:end])
            label = ""
        if kind in _BEGINS | _GOES_ON and not label:
            start, label = at, found
        at, end = at + len(token) + 1, at + len(token)
    if label:
        yield Span(labels=(label,), start=start, end=end, words=text[start:end])
