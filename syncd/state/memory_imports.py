"""Imported answers in memory: one role of `MemoryState`, the reference."""

from collections.abc import Sequence
from dataclasses import replace

from syncd.domain.model import ImportedAnswer, ObjectRef
from syncd.domain.model.imported import require_same_texts


class MemoryImports:
    """See `ports.Imports`."""

    def __init__(self) -> None:
        super().__init__()
        self._imported: dict[tuple[str, ObjectRef, str], tuple[ImportedAnswer, bool]] = {}

    async def want(self, dataset: str, answers: Sequence[ImportedAnswer]) -> int:
        """See `Imports.want`."""
        there = self._imported.items()
        texts = {ref: a.text for (owner, ref, _), (a, _) in there if owner == dataset and a.text is not None}
        require_same_texts(texts, answers)
        before = len(self._imported)
        for answer in answers:
            self._imported.setdefault((dataset, answer.ref, answer.digest), (answer, False))
        return len(self._imported) - before

    async def wanted(self, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[ImportedAnswer]]:
        """See `Imports.wanted`."""
        found: dict[ObjectRef, list[ImportedAnswer]] = {}
        for (owner, ref, _), (answer, given) in self._imported.items():
            if owner == dataset and ref in refs and not given:
                found.setdefault(ref, []).append(replace(answer, text=None))
        return found

    async def given(self, dataset: str, answers: Sequence[ImportedAnswer]) -> None:
        """See `Imports.given`."""
        for answer in answers:
            known, _ = self._imported[dataset, answer.ref, answer.digest]
            self._imported[dataset, answer.ref, answer.digest] = (known, True)

    async def wanted_count(self, dataset: str) -> int:
        """See `Imports.wanted_count`."""
        return sum(owner == dataset and not given for (owner, _, _), (_, given) in self._imported.items())

    async def text(self, dataset: str, ref: ObjectRef) -> str | None:
        """See `Imports.text`."""
        texts = (a.text for (owner, r, _), (a, _) in self._imported.items() if (owner, r) == (dataset, ref))
        return next((text for text in texts if text is not None), None)

    def forget_imports(self, dataset: str) -> None:
        """Forget all answers of a dataset."""
        self._imported = {name: answer for name, answer in self._imported.items() if name[0] != dataset}
