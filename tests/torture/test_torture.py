"""The torture in small, so that it cannot rot: `python -m tests.torture` is the whole of it.

Each scenario here is the real one with few faults; what it compares is the same. The harness itself is tested, too:
a comparison that finds nothing wrong with anything would show nothing.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.torture.comparison import Comparison, bucket_against_tasks, rows_against_answers
from tests.torture.failpoints import NAMES
from tests.torture.ground import Ground, grounded
from tests.torture.options import Options
from tests.torture.outcome import EVERYTHING, UNANSWERED, Outcome, table
from tests.torture.scenarios import deaths, kills, wires
from tests.torture.scenarios.deaths import Tally

SMALL = Options(kills=4, rounds=1, minutes=0.1, settle=4, quiet=True)
ANSWERED = Counter({"annotation made": 3})
POINTS = ("state opened: after", "tasks imported: after", "event answered: before")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Servers for all scenarios here."""
    with grounded(tmp_path_factory.mktemp("torture")) as made:
        yield made


@pytest.mark.timeout(300)
def test_killed_at_random_times_everything_is_there_once(ground: Ground) -> None:
    outcome = kills.run(ground, SMALL)
    assert not outcome.wrong
    assert outcome.faults.total() == SMALL.kills


@pytest.mark.timeout(300)
def test_dead_at_named_places_everything_is_there_once(ground: Ground) -> None:
    outcome = deaths.run(ground, SMALL, POINTS)
    assert not outcome.wrong
    assert outcome.faults["deaths"] == len(POINTS)


@pytest.mark.timeout(300)
def test_on_a_bad_network_everything_is_there_once(ground: Ground) -> None:
    outcome = wires.run(ground, SMALL)
    assert not [wrong for wrong in outcome.wrong if "never injected" not in wrong]
    assert outcome.faults.total() > 5


# ---------------------------------------------------------------- the harness itself


def test_every_failpoint_has_one_name() -> None:
    assert len(set(NAMES)) == len(NAMES) > 40


def test_a_scenario_without_faults_shows_nothing() -> None:
    found = Comparison(dict.fromkeys(EVERYTHING, 1))
    assert Outcome("kills", Counter(), ANSWERED, found).wrong == ["no fault was injected"]
    assert Outcome("kills", Counter(kill=1), ANSWERED, found, required=["pause"]).wrong == ["never injected: pause"]
    assert Outcome("kills", Counter(kill=1), ANSWERED, found).wrong == []


@pytest.mark.parametrize("name", EVERYTHING)
def test_empty_sets_show_nothing(name: str) -> None:
    found = Comparison({each: int(each != name) for each in EVERYTHING})
    assert Outcome("kills", Counter(kill=1), ANSWERED, found).wrong == [f"none to compare: {name}"]


def test_a_scenario_of_annotations_in_which_nobody_annotated_shows_nothing() -> None:
    found = Comparison(dict.fromkeys(EVERYTHING, 1))
    assert Outcome("kills", Counter(kill=1), Counter(), found).wrong == ["nobody annotated meanwhile"]
    assert Outcome("burst", Counter(kill=1), Counter(), found, shown=UNANSWERED).wrong == []


def test_a_death_counts_where_the_daemon_itself_said_so() -> None:
    tally = Tally(2, deaths=Counter({"here": 2, "there": 2, "nowhere": 1}))
    assert list(tally.differences({"here": 2, "there": 1, "nowhere": 1})) == [
        "there: reached 1 times, died 2 times of 2",
        "nowhere: reached 1 times, died 1 times of 2",
    ]


def test_the_table_tells_what_differs() -> None:
    one = Outcome("proxy", Counter(reset=1200), Counter(ANSWERED), Comparison({"objects": 3}, ["a", "b"]))
    assert table([one]).splitlines()[-1] == "| proxy | 1,200 reset | 3 annotation made | 3 objects | **2 wrong** |"


def _task(key: str, etag: str, *, retired: bool = False, id_: int = 1) -> dict[str, Any]:
    data = {"image": "…", "syncd_key": f"{key}{etag}"} | ({"syncd_retired": "changed"} if retired else {})
    return {"id": id_, "data": data, "meta": {"syncd": {"key": key, "etag": etag}}, "annotations": []}


@pytest.mark.parametrize(
    ("tasks", "wrong"),
    [
        ([_task("a", "1")], []),
        ([_task("a", "1"), _task("a", "0", retired=True)], []),
        ([], ["object without its task: 1, such as ('a', '1')"]),
        ([_task("a", "1"), _task("a", "1")], ["task of no object that is there: 1, such as ('a', '1')"]),
        ([_task("a", "1"), _task("b", "1")], ["task of no object that is there: 1, such as ('b', '1')"]),
    ],
    ids=["equal", "a retired one beside it", "lost", "doubled", "of nothing"],
)
def test_tasks_are_compared_one_to_one_with_the_bucket(tasks: list[dict[str, Any]], wrong: list[str]) -> None:
    assert list(bucket_against_tasks({"a": "1"}, tasks)) == wrong


def test_rows_are_compared_value_by_value_with_annotations() -> None:
    region = {"value": {"choices": ["cat"]}}
    answer = {"id": 7, "result": [region], "was_cancelled": False}
    row = {
        "task_id": "1",
        "status": "submitted",
        "labels": ["cat"],
        "result": [region],
        "key": "a",
        "etag": "1",
        "retired": False,
    }
    answers = {"7": (_task("a", "1"), answer)}
    assert not list(rows_against_answers(answers, {"7": row}))
    assert list(rows_against_answers(answers, {})) == ["annotation without its row: 1, such as 7"]
    assert list(rows_against_answers({}, {"7": row})) == ["row without its annotation: 1, such as 7"]
    (wrong,) = rows_against_answers(answers, {"7": row | {"labels": ["dog"]}})
    assert wrong.startswith("row 7 is")
