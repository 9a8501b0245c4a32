r"""CoNLL-2003: marked texts as one token a line, with IOB2 tags. One file for each split: `train.conll` …

Four columns divided by one space, as in the shared task: token, part of speech (unknown: `-X-`), chunk (`_`), entity.
Each text is a document of one sequence, after a line `-DOCSTART- -X- _ O` and before an empty line, as readers of
CoNLL-2003 expect. https://aclanthology.org/W03-0419, IOB2: https://aclanthology.org/E99-1023

The tokens are those of `exports.tokens`. The converter of label-studio-sdk asks NLTK; where both cut alike, its lines
are the same. It is not used: it writes white space of labels into the tags, which tears the columns, a first line of
three columns, the marks of one control alone, and needs OpenCV, pandas and NLTK.

What the format cannot say is told: marks inside or across others (the earlier, then the longer one is kept), further
labels of one mark, marks that begin or end within a token (they grow to whole tokens). White space in labels
becomes `_`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from syncd.domain.errors import Rejected
from syncd.exports.base import Format, Source
from syncd.exports.texts import TextItem, asked, marks_text, text_items
from syncd.exports.tokens import tokens

_DOCUMENT = "-DOCSTART- -X- _ O\n\n"


def _write(source: Source, out: Path) -> None:
    names = _tag_names(source.labels)
    files: dict[str, TextIO] = {}
    try:
        for item in text_items(source):
            if item.split not in files:
                files[item.split] = (out / f"{item.split}.conll").open("w", encoding="utf-8", newline="\n")
            files[item.split].write(_DOCUMENT + "".join(_lines(source, item, names)) + "\n")
    finally:
        for file in files.values():
            file.close()


def _tag_names(labels: Iterable[str]) -> dict[str, str]:
    """Label to what it is called in a tag. Rejected: two labels would be called the same."""
    names = {label: "_".join(label.split()) for label in labels}
    for label, name in names.items():
        same = [other for other in names if names[other] == name]
        if len(same) > 1:
            raise Rejected(f"conll writes both {same[0]!r} and {same[1]!r} as {name!r}; give {label!r} another name")
    return names


def _lines(source: Source, item: TextItem, names: dict[str, str]) -> Iterator[str]:
    for token, tag in tagged(source, item):
        at, _, label = tag.partition("-")
        yield f"{token} -X- _ {at}{'-' if label else ''}{names.get(label, '')}\n"


def tagged(source: Source, item: TextItem) -> Iterator[tuple[str, str]]:
    """The tokens of a text, each with its IOB2 tag: `O`, `B-label` or `I-label`. What is lost is told."""
    places = tokens(item.text)
    tags = ["O"] * len(places)
    for entity in item.entities:
        first = bisect_right(places, entity.start, key=itemgetter(1))
        last = bisect_left(places, entity.end, key=itemgetter(0))
        if any(tag != "O" for tag in tags[first:last]):
            source.lose("a mark that overlaps another")
            continue
        if (places[first][0], places[last - 1][1]) != (entity.start, entity.end):
            source.lose("the exact end of a mark within a token: it grew to whole tokens")
        if more := len(entity.region.labels) - 1:
            source.lose("a further label of a mark", more)
        tags[first:last] = [f"B-{entity.label}"] + [f"I-{entity.label}"] * (last - first - 1)
    return ((item.text[start:end], tag) for (start, end), tag in zip(places, tags, strict=True))


def _misfit(source: Source) -> str | None:
    if marks_text(source.config):
        return None
    return f"it needs marked stretches of a text (Labels on Text); this version asks {asked(source.config)}"


FORMAT = Format("conll", "CoNLL-2003 with IOB2 tags: entities in texts", _write, _misfit)
