r"""CoNLL-2003: marked texts as one token a line, with IOB2 tags. One file for each split: `train.conll` …

Four columns divided by one space, as in the shared task: token, part of speech (unknown: `-X-`), chunk (`_`), entity.
Each text is a document of one sequence, after a line `-DOCSTART- -X- _ O` and before an empty line, as readers of
CoNLL-2003 expect. https://aclanthology.org/W03-0419, tags: https://en.wikipedia.org/wiki/Inside–outside–beginning

Tokens: runs of letters, digits and `_` that may hold single `.`, `,`, `'`, `’` or `-` inside (`U.S`, `3.14`, `isn't`);
every other character that is no white space is a token of its own. The rule stands here and not in a library, so
that a version's bytes do not change with a library's release. (label-studio-sdk's converter asks NLTK; where both cut
alike, its lines are the same. It writes white space of labels into the tags, which tears the columns, and the
entities of one control alone.)

What the format cannot say is told: marks inside or across others (the earlier, then the longer one is kept), further
labels of one mark, marks that begin or end within a token (they grow to whole tokens). White space in labels
becomes `_`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from syncd.domain.errors import Rejected
from syncd.exports.base import Format, Source
from syncd.exports.texts import TextItem, asked, marks_text, text_items

TOKEN = re.compile(r"\w+(?:[.,'’-]\w+)*|[^\w\s]")
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
    tokens = [(token.start(), token.end()) for token in TOKEN.finditer(item.text)]
    tags = ["O"] * len(tokens)
    for entity in item.entities:
        first = bisect_right(tokens, entity.start, key=itemgetter(1))
        last = bisect_left(tokens, entity.end, key=itemgetter(0))
        if any(tag != "O" for tag in tags[first:last]):
            source.lose("a mark that overlaps another")
            continue
        if (tokens[first][0], tokens[last - 1][1]) != (entity.start, entity.end):
            source.lose("the exact end of a mark within a token: it grew to whole tokens")
        if more := len(entity.region.labels) - 1:
            source.lose("a further label of a mark", more)
        name = names[entity.label]
        tags[first:last] = [f"B-{name}"] + [f"I-{name}"] * (last - first - 1)
    for (start, end), tag in zip(tokens, tags, strict=True):
        yield f"{item.text[start:end]} -X- _ {tag}\n"


def _misfit(source: Source) -> str | None:
    if marks_text(source.config):
        return None
    return f"it needs marked stretches of a text (Labels on Text); this version asks {asked(source.config)}"


FORMAT = Format("conll", "CoNLL-2003 with IOB2 tags: entities in texts", _write, _misfit)
