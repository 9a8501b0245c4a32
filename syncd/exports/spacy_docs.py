"""spaCy: texts as a `DocBin` for each split: `train.spacy`, `dev.spacy` (what others call val), `test.spacy` …

`spacy train config.cfg --paths.train train.spacy --paths.dev dev.spacy`. Needs the extra `syncd[spacy]`.
Made with the blank pipeline of the option `language` (default `xx`, which fits any). https://spacy.io/api/data-formats

Each document has, where the label config asks for it:
`doc.spans["sc"]`: every mark with each of its labels, also those that overlap (what spancat trains on);
`doc.ents`: the marks that do not overlap, the earlier and then the longer one first (what ner trains on);
`doc.cats`: 1.0 for each label chosen for the whole text and 0.0 for the others, named `control=label` where several
controls ask. `doc.user_data` has the row's key, task and annotation id.

Told as lost: marks that are in `doc.spans` alone, and marks that had to grow to whole tokens.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from syncd.domain.errors import Rejected
from syncd.exports.base import Format, Source
from syncd.exports.texts import Entity, TextItem, asked, chooses_for_text, chosen, marks_text, text_items
from syncd.training.extras import required

_FILES = {"val": "dev", "validation": "dev"}
_NAMES = ("key", "task_id", "annotation_id")


def _write(source: Source, out: Path) -> None:
    spacy = required("spacy")
    tokenize = _tokenizer(spacy, source.options.get("language", "xx"))
    bins: dict[str, Any] = {}
    for item in text_items(source):
        name = _FILES.get(item.split, item.split)
        if name not in bins:
            bins[name] = spacy.tokens.DocBin(store_user_data=True)
        bins[name].add(_doc(source, item, tokenize(item.text)))
    for name, made in bins.items():
        made.to_disk(out / f"{name}.spacy")


def _tokenizer(spacy: Any, language: str) -> Any:
    try:
        return spacy.blank(language).make_doc
    except ImportError:
        raise Rejected(f"spaCy has no language {language!r}; take its code, such as en, or xx for any") from None


def _doc(source: Source, item: TextItem, doc: Any) -> Any:
    if marks_text(source.config):
        spans = [span for entity in item.entities for span in _spans(source, doc, entity)]
        doc.spans["sc"] = spans
        doc.set_ents(list(_apart(source, spans)))
    doc.cats = dict(_cats(source, item))
    doc.user_data.update({name: item.item.row.get(name) for name in _NAMES})
    return doc


def _spans(source: Source, doc: Any, entity: Entity) -> Iterator[Any]:
    for label in entity.region.labels:
        span = doc.char_span(entity.start, entity.end, label, alignment_mode="expand")
        if (span.start_char, span.end_char) != (entity.start, entity.end):
            source.lose("the exact end of a mark within a token: it grew to whole tokens")
        yield span


def _apart(source: Source, spans: Iterable[Any]) -> Iterator[Any]:
    end = 0
    for span in spans:
        if span.start < end:
            source.lose("a mark that overlaps another: in doc.spans, not in doc.ents")
        else:
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
    options={"language": "whose tokenizer: a code of spaCy's such as en; default xx, any language"},
)
