"""How far people agree: by task, by control, and against the figures that papers and libraries give."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
import shapely
from label_studio_sdk.converter.brush import encode_rle

from syncd import Snapshot, open_snapshot
from syncd.domain.model import JsonObject
from syncd.domain.regions import Box, Ellipse, Keypoint, Mask, Number, Polygon, Region, Segment, Size, Span, Text
from syncd.snapshots.store import LanceSnapshots
from syncd.training import agreement
from syncd.training.similarity import by_control, similarity
from tests.clock import FakeClock
from tests.snapshots.rows import put

SIZE = Size(100, 100)


def box(x: float, y: float, width: float = 10, height: float = 10, *, label: str = "car", rotation: float = 0) -> Box:
    return Box(labels=(label,), control="b", x=x, y=y, width=width, height=height, rotation=rotation, size=SIZE)


def alike(one: Sequence[Region], two: Sequence[Region]) -> float:
    """The similarity of two answers, which is the same both ways."""
    there, back = (similarity(by_control(a), by_control(b)) for a, b in ((one, two), (two, one)))
    assert there == pytest.approx(back)
    return there


def span(start: int, end: int, label: str = "person") -> Span:
    return Span(labels=(label,), control="s", start=start, end=end)


def text(words: str) -> Text:
    return Text(control="t", text=(words,))


SQUARE = Polygon(control="b", labels=("car",), points=((0, 0), (10, 0), (10, 10), (0, 10)), size=SIZE)
MASK = Mask(control="m", rle=(1, 2, 3), size=SIZE)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ([box(0, 0)], [box(0, 0)], 1),
        ([box(0, 0)], [box(5, 0)], 1 / 3),
        ([box(0, 0)], [box(50, 50)], 0),
        ([box(0, 0)], [box(0, 0, label="dog")], 0),
        ([box(0, 0), box(50, 50)], [box(0, 0)], 2 / 3),
        ([box(0, 0), box(50, 50)], [box(50, 50), box(0, 0)], 1),
        ([box(0, 0), box(4, 0)], [box(5, 0), box(50, 0)], 9 / 11 / 2),  # the best pair is matched first
        ([box(0, 0), box(0, 0)], [box(0, 0)], 2 / 3),  # one box is matched once
        ([box(10, 0)], [box(10, 0, rotation=90)], 0),  # turned about its corner, clockwise: to its left
        ([box(10, 0, rotation=90)], [box(0, 0)], 1),
        ([box(5, 5, 0, 0)], [box(5, 5, 0, 0)], 1),  # without an area
        ([SQUARE], [box(0, 0)], 1),
        ([], [box(0, 0)], 0),
        ([], [], 1),
        ([MASK], [MASK], 1),  # unreadable ones are only equal to themselves
        ([MASK], [Mask(control="m", rle=(9,), size=SIZE)], 0),
        ([span(0, 10)], [span(5, 10)], 1 / 2),
        ([span(0, 10)], [span(10, 20)], 0),
        ([span(0, 10), span(20, 30)], [span(0, 10), span(20, 30, "place")], 1 / 2),
        ([Segment(control="a", start=0, end=2)], [Segment(control="a", start=1, end=3)], 1 / 3),
        ([Segment(control="a", start=1, end=1)], [Segment(control="a", start=1, end=1)], 1),
        ([Keypoint(control="k", x=0, y=0, size=SIZE)], [Keypoint(control="k", x=3, y=4, size=SIZE)], 1),
        ([Keypoint(control="k", x=0, y=0, size=SIZE)], [Keypoint(control="k", x=4, y=4, size=SIZE)], 0),
        ([text("a b c")], [text("b  c d e")], 4 / 7),
        ([text("")], [text("")], 1),
        ([Number(control="n", value=4)], [Number(control="n", value=4)], 1),
        ([Number(control="n", value=4)], [Number(control="n", value=3)], 0),
        ([box(0, 0), text("a")], [box(0, 0), text("b")], 1 / 2),  # the mean over controls
    ],
)
def test_two_answers_are_alike_by_what_each_control_takes(
    one: list[Region], two: list[Region], expected: float
) -> None:
    assert alike(one, two) == pytest.approx(expected)


def test_an_ellipse_is_compared_by_its_area() -> None:
    ellipse = Ellipse(control="b", labels=("car",), x=50, y=50, radius_x=20, radius_y=10, size=SIZE)
    turned = Ellipse(control="b", labels=("car",), x=50, y=50, radius_x=10, radius_y=20, rotation=90, size=SIZE)
    assert alike([ellipse], [turned]) == pytest.approx(1, abs=1e-6)
    around = box(30, 40, 40, 20)
    assert alike([ellipse], [around]) == pytest.approx(np.pi / 4, abs=0.01)


def test_masks_are_compared_pixel_by_pixel() -> None:
    def mask(columns: int) -> Mask:
        rgba: Any = np.zeros((20, 10, 4), np.uint8)
        rgba[:, :columns] = 255
        return Mask(control="m", labels=("sky",), rle=tuple(encode_rle(rgba.ravel())), size=Size(10, 20))

    assert alike([mask(4)], [mask(4)]) == 1
    assert alike([mask(4)], [mask(6)]) == pytest.approx(4 / 6)


def test_a_polygon_that_crosses_itself_is_compared_by_what_it_covers() -> None:
    bow = Polygon(control="b", labels=("car",), points=((0, 0), (10, 10), (10, 0), (0, 10)), size=SIZE)
    covered = shapely.make_valid(shapely.Polygon(bow.points)).area
    assert alike([bow], [SQUARE]) == pytest.approx(covered / 100)


# ---------------------------------------------------------------- by task and by control


def choices(control: str, *labels: str) -> JsonObject:
    return {"id": control, "type": "choices", "from_name": control, "to_name": "i", "value": {"choices": labels}}


def rated(value: int) -> JsonObject:
    return {"id": "n", "type": "rating", "from_name": "stars", "to_name": "i", "value": {"rating": value}}


def boxed(x: float, label: str = "car") -> JsonObject:
    place = {"x": x, "y": 0, "width": 10, "height": 10, "rotation": 0, "rectanglelabels": [label]}
    size = {"original_width": 100, "original_height": 100}
    return {"id": "b", "type": "rectanglelabels", "from_name": "box", "to_name": "i", **size, "value": place}


async def answered(folder: Path, tasks: Sequence[Sequence[Any]], people: str = "abcdefgh") -> Snapshot:
    """A version in which each task was answered by people in turn, each answer newer than the last; None: none."""
    changes = [
        put(
            f"{task}-{place}",
            task_id=str(task),
            annotator=people[place],
            result=json.dumps(answer if isinstance(answer, list) else [answer]),
            updated_at=f"2026-11-01T00:00:{place:02}Z",
        )
        for task, answers in enumerate(tasks)
        for place, answer in enumerate(answers)
        if answer is not None
    ]
    await LanceSnapshots(folder.as_uri(), clock=FakeClock()).commit("fruits", changes, "<View/>")
    return open_snapshot(folder / "fruits")


def picked(snapshot: Snapshot, tasks: str) -> list[str]:
    return sorted(snapshot.to_arrow(tasks=tasks, columns=["annotation_id"])["annotation_id"].to_pylist())


async def test_alpha_of_single_choices_is_the_published_one(tmp_path: Path) -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: nominal 0.743."""
    units = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]
    tasks = [[choices("kind", value) for value in unit] for unit in units]
    (found,) = (await answered(tmp_path, tasks)).agreement()
    assert (found.control, found.measure, found.tasks, found.sampled) == ("kind", "Krippendorff's alpha", 11, 11)
    assert found.value == pytest.approx(0.743, abs=0.001)


async def test_alpha_of_ratings_takes_their_distance_into_account(tmp_path: Path) -> None:
    near = await answered(tmp_path / "near", [[rated(1), rated(2)], [rated(4), rated(5)], [rated(1), rated(1)]])
    far = await answered(tmp_path / "far", [[rated(1), rated(5)], [rated(4), rated(2)], [rated(1), rated(1)]])
    (one,), (two,) = near.agreement(), far.agreement()
    counts = [[1, 1, 0, 0], [0, 0, 1, 1], [2, 0, 0, 0]]
    expected = krippendorff.alpha(value_counts=counts, value_domain=[1.0, 2.0, 4.0, 5.0])
    assert one.value == pytest.approx(expected)
    assert two.value is not None
    assert two.value < 0 < expected


async def test_alpha_of_several_choices_counts_what_they_share(tmp_path: Path) -> None:
    shared = [[choices("kind", "a", "b"), choices("kind", "b", "a")], [choices("kind", "c"), choices("kind", "c", "d")]]
    apart = [[choices("kind", "a", "b"), choices("kind", "b", "a")], [choices("kind", "c"), choices("kind", "e")]]
    (one,), (two,) = [(await answered(tmp_path / str(n), t)).agreement() for n, t in enumerate((shared, apart))]
    assert one.value is not None
    assert two.value is not None
    assert 1 > one.value > two.value


async def test_each_control_is_told_by_its_own_measure(tmp_path: Path) -> None:
    tasks = [
        [[choices("kind", "a"), boxed(0)], [choices("kind", "a"), boxed(5)]],
        [[choices("kind", "b"), boxed(0)], [choices("kind", "b")]],
        [[choices("kind", "b"), boxed(0)], [boxed(0)]],
        [[choices("kind", "b"), boxed(0)]],
    ]
    boxes, kinds = (await answered(tmp_path, tasks)).agreement()
    assert (boxes.control, boxes.measure, boxes.tasks) == ("box", "mean IoU", 3)
    assert boxes.value == pytest.approx((1 / 3 + 0 + 1) / 3)
    assert (kinds.control, kinds.value, kinds.tasks) == ("kind", 1.0, 2)


async def test_alpha_is_not_defined_where_all_gave_one_answer(tmp_path: Path) -> None:
    same = await answered(tmp_path / "same", [[choices("kind", "a"), choices("kind", "a")]] * 3)
    assert [one.value for one in same.agreement()] == [None]
    alone = await answered(tmp_path / "alone", [[choices("kind", "a")], [choices("kind", "b")]])
    assert alone.agreement() == []


async def test_where_tasks_and_values_are_too_many_alpha_is_of_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "_CELLS", 10)
    monkeypatch.setattr(agreement, "_LEAST", 50)
    tasks = [[choices("kind", f"{n % 5}"), choices("kind", f"{(n + (n % 7 == 0)) % 5}")] for n in range(200)]
    (found,) = (await answered(tmp_path, tasks)).agreement()
    assert (found.tasks, found.sampled) == (200, 50)
    assert found.value == pytest.approx(0.82, abs=0.06)


async def test_majority_is_the_answer_given_most_and_of_equal_ones_the_newest(tmp_path: Path) -> None:
    cat, dog, owl = (choices("kind", name) for name in ("cat", "dog", "owl"))
    snapshot = await answered(tmp_path, [[cat, dog, cat], [dog, cat], [cat, dog, owl], [cat, cat, dog, dog], [owl]])
    assert picked(snapshot, "majority") == ["0-2", "1-1", "2-2", "3-3", "4-0"]


async def test_majority_of_boxes_is_the_one_nearest_to_the_others(tmp_path: Path) -> None:
    snapshot = await answered(tmp_path, [[boxed(2), boxed(3), boxed(5)], [boxed(0), boxed(1), boxed(80)]])
    assert picked(snapshot, "majority") == ["0-1", "1-1"]


async def test_a_person_has_one_vote_and_unknown_people_are_different_ones(tmp_path: Path) -> None:
    cat, dog = choices("kind", "cat"), choices("kind", "dog")
    snapshot = await answered(tmp_path / "known", [[dog, dog, cat, cat]], people="aaab")
    columns = ["annotation_id", "annotations", "annotators", "agreement"]
    assert snapshot.to_arrow(tasks="majority", columns=columns).to_pylist() == [
        {"annotation_id": "0-3", "annotations": 4, "annotators": ["a", "b"], "agreement": 1.0}
    ]
    unknown = await answered(tmp_path / "unknown", [[dog, cat]], people=[None, None])  # type: ignore[arg-type]
    assert unknown.to_arrow(tasks="newest", columns=["annotators", "agreement"]).to_pylist() == [
        {"annotators": [], "agreement": 0.0}
    ]
    once = await answered(tmp_path / "once", [[dog, cat]], people="aa")
    assert once.to_arrow(tasks="newest", columns=["agreement"])["agreement"].to_pylist() == [None]


async def test_many_tasks_are_compared_in_chunks_and_none_is_divided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "_CHUNK", 4)
    tasks = [[choices("kind", "a"), choices("kind", "a"), choices("kind", "b" if n % 2 else "a")] for n in range(25)]
    table = (await answered(tmp_path, tasks)).to_arrow(tasks="newest", columns=["task_id", "agreement"])
    found = dict(zip(table["task_id"].to_pylist(), table["agreement"].to_pylist(), strict=True))
    assert found == {str(n): pytest.approx(1 / 3 if n % 2 else 1) for n in range(25)}


async def test_only_what_needs_a_library_asks_for_it(tmp_path: Path) -> None:
    await answered(tmp_path, [[boxed(0), boxed(0)], [choices("kind", "a"), choices("kind", "a")]])
    code = f"""
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("shapely", "krippendorff"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import syncd
snapshot = syncd.open_snapshot("{tmp_path}/fruits")
print(len(snapshot.row_ids(tasks="newest")))
for ask in (lambda: snapshot.row_ids(tasks="majority"), snapshot.agreement):
    try:
        ask()
    except Exception as error:
        print(error)
"""
    assert python(code).splitlines() == [
        "2",
        *["shapely: installed for this: pip install 'syncd[agreement]' (found not installed)"] * 2,
    ]


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
