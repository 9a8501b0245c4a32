"""Items into imported answers: which object each is about, and its regions in the annotator's words."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from syncd.domain.checks import check
from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.model import IMPORTED, AnswerKind, ImportedAnswer, ObjectRef, digest
from syncd.domain.regions import write_regions
from syncd.imports.base import Item


@dataclass(frozen=True, slots=True)
class Origin:
    """What the answers of one import have in common.

    `bucket`: where the media are; `prefix` goes before each item's name there. `name`: what the import is called:
    the bucket of its texts, and the model version of predictions.
    """

    config: LabelConfig
    kind: AnswerKind
    name: str
    bucket: str
    prefix: str = ""


@dataclass
class Prepared:
    """What can be imported, and what cannot, one line each."""

    answers: list[ImportedAnswer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def prepare(items: Iterable[Item], origin: Origin) -> Prepared:
    """All items, in their order. A problem of one does not hide those of others."""
    prepared = Prepared()
    texts: dict[ObjectRef, str] = {}
    for item in items:
        try:
            answer = _answer(item, origin)
            _require_same(texts, answer)
            prepared.answers.append(answer)
        except Rejected as error:
            prepared.problems.append(f"{item.where}: {error}")
    return prepared


def _require_same(texts: dict[ObjectRef, str], answer: ImportedAnswer) -> None:
    """What has the name of another text would be shown with that one's words."""
    if answer.text is not None and texts.setdefault(answer.ref, digest(answer.text)) != digest(answer.text):
        raise Rejected(f"another text is called {answer.ref.key!r} too; leave names out, or make them differ")


def _answer(item: Item, origin: Origin) -> ImportedAnswer:
    if item.problem:
        raise Rejected(item.problem)
    result = write_regions(item.regions, origin.config)
    shown = {tag.variable: item.text for tag in origin.config.objects.values() if tag.variable}
    if problem := check(list(result), origin.config, shown if item.text is not None else None):
        raise Rejected(problem)
    model = origin.name if origin.kind is AnswerKind.PREDICTION else None
    return ImportedAnswer(_ref(item, origin), origin.kind, result, model, item.text)


def _ref(item: Item, origin: Origin) -> ObjectRef:
    """Media by their key; a text by its name, or by its own digest: the same text twice is one object."""
    if item.text is not None:
        return ObjectRef(f"{IMPORTED}{origin.name}", item.name or digest(item.text)[:32])
    if item.name.startswith(f"{origin.bucket}/"):
        return ObjectRef(origin.bucket, item.name.removeprefix(f"{origin.bucket}/"))
    if "://" in item.name:
        raise Rejected(f"{item.name} is not in the bucket {origin.bucket}")
    folder = f"{origin.prefix.rstrip('/')}/" if origin.prefix else ""
    return ObjectRef(origin.bucket, folder + item.name.removeprefix("./"))
