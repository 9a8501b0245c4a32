"""What the people who answered the same tasks make of each other: by task, and by control of the label config.

Called by `views` (the `agreement` column, and `majority`) and `snapshot`. Of one person's several answers to a task
the newest counts; people who are not known count as different ones. Answers are read in chunks, so memory does not
grow with the version.

A task alone has no chance-corrected measure (Krippendorff's alpha needs the whole to know what chance is), so a task
has the mean of `similarity` over its pairs of people; alpha is given for the version, by control.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from syncd.domain.regions import Choice, Number, read_regions
from syncd.training.extras import required
from syncd.training.similarity import EXTRA, Answer, Regions, alike, by_control, chosen, measure_of, number, similarity

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot
    from syncd.training.views import Tasks

_CHUNK = 10_000
_CELLS = 2**23
"""Tasks times values squared that the alpha library may fill: several arrays of so many floats, 64 MB each."""
_LEAST = 120


@dataclass(frozen=True, slots=True)
class ControlAgreement:
    """How far people agree in what they answer by one control.

    `measure`: `Krippendorff's alpha` where the control takes choices or numbers (1: always, 0: as by chance, below:
    less than by chance); else the mean over tasks of what `training.similarity` says of each kind, 0 to 1. `value` is
    None where it is not defined: alpha when all gave one and the same answer. `tasks`: how many tasks several people
    answered. `sampled`: of how many of them alpha was computed, evenly taken, where they and their values are too
    many for all; else the same number.
    """

    control: str
    measure: str
    value: float | None
    tasks: int
    sampled: int


def scored(snapshot: "Snapshot", tasks: "Tasks") -> tuple[list[float | None], Any]:
    """By task: its people's mean agreement (None: one person), and the place of its majority answer.

    That is the medoid: the answer that agrees most, on average, with the others; of equal ones the newest. Where
    answers are equal or not, as single choices are, it is the answer that most people gave.
    """
    places = tasks.firsts()
    scores: list[float | None] = [None] * len(places)
    for code, voted, answers in _answered(snapshot, tasks):
        matrix = _pairwise(answers)
        scores[code] = float(matrix[np.triu_indices(len(answers), 1)].mean())
        places[code] = voted[int(matrix.sum(axis=1).round(9).argmax())]
    return scores, places


def agreement_by_control(snapshot: "Snapshot", tasks: "Tasks") -> list[ControlAgreement]:
    """Every control that was used in a task of several people, by name."""
    controls: dict[str, _Control] = {}
    for _, _, answers in _answered(snapshot, tasks):
        for name in sorted({name for answer in answers for name in answer}):
            controls.setdefault(name, _Control(name)).add([answer.get(name, ()) for answer in answers])
    return [controls[name].result() for name in sorted(controls)]


def _pairwise(answers: Sequence[Answer]) -> Any:
    """Similarity of each with each; 0 on the diagonal."""
    matrix = np.zeros((len(answers), len(answers)))
    for i, j in combinations(range(len(answers)), 2):
        matrix[i, j] = matrix[j, i] = similarity(answers[i], answers[j])
    return matrix


# ---------------------------------------------------------------- reading


def _answered(snapshot: "Snapshot", tasks: "Tasks") -> Iterator[tuple[int, list[int], list[Answer]]]:
    """Each task that several people answered: its code, the places of their newest answers, and these answers."""
    places = _votes(tasks)
    for chunk in _chunks(places, tasks.codes[places]):
        results = snapshot.take(tasks.row_ids[chunk], columns=["result"])["result"].to_pylist()
        codes = tasks.codes[chunk]
        bounds = [*np.flatnonzero(np.diff(codes, prepend=-1)), len(chunk)]
        for start, end in pairwise(bounds):
            answers = [by_control(read_regions(orjson.loads(text or "[]"))) for text in results[start:end]]
            yield int(codes[start]), chunk[start:end].tolist(), answers


def _votes(tasks: "Tasks") -> Any:
    """The places of the answers that count, of tasks that several people answered: one a person, the first."""
    people = tasks.rows["annotator"].combine_chunks().dictionary_encode().indices
    person = people.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = person < 0
    person[unknown] = -1 - np.flatnonzero(unknown)  # each somebody else
    _, first = np.unique(np.stack([tasks.codes, person]), axis=1, return_index=True)
    first = np.sort(first)
    several = np.bincount(tasks.codes[first], minlength=1) > 1
    return first[several[tasks.codes[first]]]


def _chunks(places: Any, codes: Any) -> Iterator[Any]:
    """About `_CHUNK` places at a time, no task divided."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    begin = 0
    while begin < len(places):
        later = starts[starts >= begin + _CHUNK]
        end = int(later[0]) if len(later) else len(places)
        yield places[begin:end]
        begin = end


# ---------------------------------------------------------------- by control


@dataclass(slots=True)
class _Control:
    """One control's answers, gathered task by task."""

    name: str
    measure: str = ""
    nominal: bool = False
    units: list[list[Any]] = field(default_factory=list)
    means: list[float] = field(default_factory=list)

    def add(self, answers: Sequence[Regions]) -> None:
        """One task: what each person said by this control, some perhaps nothing."""
        said = [regions for regions in answers if regions]
        self.measure = self.measure or measure_of(said[0])
        self.nominal = self.nominal or isinstance(said[0][0], Choice | Number)
        if not self.nominal:
            self.means.append(float(np.mean([alike(one, two) for one, two in combinations(answers, 2)])))
        elif len(said) > 1:  # nothing chosen is a missing value, as alpha knows them
            self.units.append([_value(regions) for regions in said])

    def result(self) -> ControlAgreement:
        """The figure over all tasks."""
        if not self.nominal:
            tasks = len(self.means)
            return ControlAgreement(self.name, f"mean {self.measure}", float(np.mean(self.means)), tasks, tasks)
        value, sampled = _alpha(self.units)
        return ControlAgreement(self.name, "Krippendorff's alpha", value, len(self.units), sampled)


def _value(regions: Regions) -> Any:
    return chosen(regions) if isinstance(regions[0], Choice) else number(regions)


def _alpha(units: list[list[Any]]) -> tuple[float | None, int]:
    """Krippendorff's alpha, and over how many units. Choices: distance 1 - Jaccard, nominal for single ones."""
    krippendorff = required("krippendorff", EXTRA)
    values = len({value for unit in units for value in unit})
    step = -(-len(units) // max(_CELLS // max(values, 1) ** 2, _LEAST))
    units = units[:: max(step, 1)]
    domain = sorted({value for unit in units for value in unit}, key=_order)
    if len(domain) < 2:
        return None, len(units)
    code = {value: index for index, value in enumerate(domain)}
    counts: Any = np.zeros((len(units), len(domain)), np.int32)
    for row, unit in zip(counts, units, strict=True):
        for value, times in Counter(unit).items():
            row[code[value]] = times
    numbers = isinstance(domain[0], float)
    levels: Any = "interval" if numbers else _jaccard_distances(domain)
    found = krippendorff.alpha(
        value_counts=counts, value_domain=domain if numbers else None, level_of_measurement=levels
    )
    return float(found), len(units)


def _order(value: Any) -> tuple[float, list[str]]:
    return (value, []) if isinstance(value, float) else (0.0, sorted(map(repr, value)))


def _jaccard_distances(domain: Sequence[frozenset[object]]) -> Any:
    """The metric as the library asks for it: by indices into the domain."""
    apart = np.array([[1 - len(a & b) / len(a | b) if a | b else 0.0 for b in domain] for a in domain])

    def metric(v1: Any, v2: Any, i1: Any, i2: Any, n_v: Any, dtype: Any = np.float64) -> Any:  # noqa: PLR0913, PLR0917
        return apart[i1, i2].astype(dtype)

    return metric
