"""spaCy: texts as a `DocBin` for each split: `train.spacy`, `dev.spacy` (what others call val), `test.spacy` …

`spacy train config.cfg --paths.train train.spacy --paths.dev dev.spacy`. Needs the extra `syncd[spacy]`.
Made with the blank pipeline of the option `language` (default `xx`, which fits any). https://spacy.io/api/data-formats

Each document has, where the label config asks for it:
`doc.ents`: the marks that do not overlap, the earlier and then the longer one first (what ner trains on);
`doc.cats`: 1.0 for each label chosen for the whole text and 0.0 for the others, named `control=label` where several
controls ask; with the option `spans=yes`, `doc.spans["sc"]`: every mark with each of its labels, also those that
overlap (what spancat trains on). Spans are an option because spaCy takes milliseconds to write those of a document.

`items.jsonl` leads back: file, index in it, key, task and annotation of each document. Told as lost: marks that
overlap, without `spans=yes`, and marks that had to grow to whole tokens.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from syncd.domain.errors import Rejected
from syncd.exports.base import Format, Source
from syncd.exports.plain import json_text
from syncd.exports.texts import Entity, TextItem, asked, chooses_for_text, chosen, marks_text, text_items
from syncd.training.extras import required

_FILES = {"val": "dev", "validation": "dev"}
_ORIGIN = ("key", "task_id", "annotation_id")


def _write(source: Source, out: Path) -> None:
    spacy = required("spacy")
    tokenize = _tokenizer(spacy, source.options.get("language", "xx"))
    bins: dict[str, Any] = defaultdict(spacy.tokens.DocBin)
    with (out / "items.jsonl").open("wb") as items:
        for item in text_items(source):
            name = f"{_FILES.get(item.split, item.split)}.spacy"
            origin = {column: item.item.row.get(column) for column in _ORIGIN}
            items.write(json_text({"file": name, "index": len(bins[name]), **origin}) + b"\n")
            bins[name].add(_doc(source, item, tokenize(item.text)))
    for name, made in bins.items():
        made.to_disk(out / name)


def _tokenizer(spacy: Any, language: str) -> Any:
    try:
        return spacy.blank(language).make_doc
    except ImportError:
        raise Rejected(f"spaCy has no language {language!r}; take its code, such as en, or xx for any") from None


def _doc(source: Source, item: TextItem, doc: Any) -> Any:
    if marks_text(source.config):
        spans = [span for entity in item.entities for span in _spans(source, doc, entity)]
        entities = list(_apart(spans))
        doc.set_ents(entities)
        if source.options.get("spans") == "yes":
            doc.spans["sc"] = spans
        elif lost := len(spans) - len(entities):
            source.lose("a mark that overlaps another (the option spans=yes keeps it in doc.spans)", lost)
    doc.cats = dict(_cats(source, item))
    return doc


def _spans(source: Source, doc: Any, entity: Entity) -> Iterator[Any]:
    for label in entity.region.labels:
        span = doc.char_span(entity.start, entity.end, label, alignment_mode="expand")
        if (span.start_char, span.end_char) != (entity.start, entity.end):
            source.lose("the exact end of a mark within a token: it grew to whole tokens")
        yield span


def _apart(spans: Iterable[Any]) -> Iterator[Any]:
    end = 0
    for span in spans:
        if span.start >= end:
            end = span.end
            yield span


def _cats(source: Source, item: TextItem) -> Iterator[tuple[str, float]]:
    controls = chooses_for_text(source.config)
    for control in controls:
        picked = chosen(item.item.regions, control.name)
        for label in dict.fromkeys((*control.labels, *picked)):
            yield label if len(controls) == 1 else f"{control.name}={label}", float(label in picked)


def _misfit(source: Source) -> str | None:
    if marks_text(source.config) or chooses_for_text(source.config):
        return None
    return f"it needs texts that people marked or classified; this version asks {asked(source.config)}"


FORMAT = Format(
    "spacy",
    "spaCy's DocBin: entities, spans and categories of texts",
    _write,
    _misfit,
    options={
        "language": "whose tokenizer: a code of spaCy's such as en; default xx, any language",
        "spans": "yes: all marks in doc.spans too, for spancat",
    },
)
