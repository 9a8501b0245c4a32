"""Answers that come from elsewhere: somebody's annotation files, on their way to the tasks of their objects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from syncd.domain.errors import Rejected
from syncd.domain.model.subjects import ObjectRef
from syncd.domain.model.values import JsonObject, canonical_json, digest

IMPORTED = "import://"
"""Scheme of the buckets whose objects are texts that came with an import and live in the state."""


class AnswerKind(StrEnum):
    """Whether it counts as a person's answer, or is shown to people as a model's."""

    ANNOTATION = "annotation"
    PREDICTION = "prediction"


@dataclass(frozen=True)
class ImportedAnswer:
    """One answer to be given to the task of one object, once.

    `result` is the annotator's JSON list of regions; empty for an object that has nothing on it. `text`: the
    object's content, for objects of `import://` buckets. `model_version` names the origin of a prediction.
    """

    ref: ObjectRef
    kind: AnswerKind
    result: tuple[JsonObject, ...]
    model_version: str | None = None
    text: str | None = None

    @cached_property
    def digest(self) -> str:
        """What tells it from other answers to the same object: kind, origin and regions, whatever ids these have."""
        regions = [{name: value for name, value in region.items() if name != "id"} for region in self.result]
        return digest(canonical_json([self.kind.value, self.model_version, regions]))


def require_same_texts(known: Mapping[ObjectRef, str], answers: Iterable[ImportedAnswer]) -> None:
    """Rejected: an answer brings another text than its object has, and would be shown with that one's words."""
    texts = dict(known)
    for answer in answers:
        if answer.text is not None and texts.setdefault(answer.ref, answer.text) != answer.text:
            ref = answer.ref
            hint = "give this import another --name, or leave the texts' names out"
            raise Rejected(f"{ref.bucket} has another text called {ref.key!r} from before; {hint}")
