"""The frame of the benchmarks: which are run, what is kept of them, and what is drawn."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from tests.bench import __main__ as bench
from tests.bench import results
from tests.bench.goals import Goal
from tests.bench.picture import picture

REACHED = Goal("acks per second", 0.7, "", 0.35, at_least=True, detail="7,000/s beside 10,000/s")
SHORT = Goal("memory <peak>", 300, "MB", 256)
TOLD = Goal("memory at rest", 100, "MB")
NONE_LOST = Goal("lost", 0, "", 0)


def _is_bench(monkeypatch: pytest.MonkeyPatch, name: str, goals: Sequence[Goal]) -> None:
    module = ModuleType(name)
    vars(module).update(arguments=lambda parser: None, run=lambda options: list(goals))
    monkeypatch.setitem(sys.modules, f"tests.bench.{name}", module)
    monkeypatch.setitem(bench.BENCHES, name, f"what {name} measures")


def test_a_run_exits_1_only_where_a_goal_is_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All goals reached: 0. One short: 1. A name that is none: 2, and what there is."""
    _is_bench(monkeypatch, "good", [REACHED, TOLD, NONE_LOST])
    _is_bench(monkeypatch, "bad", [REACHED, SHORT])
    assert bench.main(["good"]) == 0
    assert "| acks per second | 0.7 | ≥ 0.35 | ok | 7,000/s beside 10,000/s |" in capsys.readouterr().out
    assert bench.main(["good", "bad"]) == 1
    assert "| memory <peak> | 300 MB | ≤ 256 MB | **short** |" in capsys.readouterr().out
    assert bench.main(["goood"]) == 2
    assert "no such bench: goood" in capsys.readouterr().err


def test_a_bench_that_fails_keeps_no_other_from_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and the exit code says it."""
    _is_bench(monkeypatch, "good", [REACHED])
    _is_bench(monkeypatch, "broken", [])
    vars(sys.modules["tests.bench.broken"])["run"] = lambda options: 1 / 0
    assert bench.main(["broken", "good"]) == 1
    told = capsys.readouterr()
    assert "ZeroDivisionError" in told.err
    assert "## broken\n\nIt failed." in told.out
    assert "acks per second" in told.out


def test_saving_a_bench_keeps_the_other_sections(tmp_path: Path) -> None:
    """What was measured before stays, with its own day and machine."""
    results.save("intake", [REACHED], "machine one", tmp_path)
    results.save("burst", [SHORT], "machine two", tmp_path)
    results.save("intake", [TOLD], "machine three", tmp_path)
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.index("## burst") < page.index("## intake")
    assert "memory at rest" in page
    assert "acks per second" not in page
    assert ("machine two." in page, "machine three." in page, "machine one" in page) == (True, True, False)
    assert results.goals_of(results.load(tmp_path)) == {"burst": [SHORT], "intake": [TOLD]}


def test_the_picture_shows_every_goal_that_is_a_ratio() -> None:
    """Reached to the right of the line, short to the left; counts that must be nought stand in the table only."""
    drawn = ElementTree.fromstring(picture({"intake": [REACHED, NONE_LOST, TOLD], "burst": [SHORT]}))  # noqa: S314
    bars = list(drawn.iter("{http://www.w3.org/2000/svg}rect"))
    (line,) = (line for line in drawn.iter("{http://www.w3.org/2000/svg}line") if line.get("class") == "goal")
    at = float(str(line.get("x1")))
    reached, short = ((bar.get("class"), float(str(bar.get("x"))), float(str(bar.get("width")))) for bar in bars)
    assert (reached[0], reached[1]) == ("ok", at)
    assert short[0] == "short"
    assert short[1] + short[2] == pytest.approx(at, abs=0.2)
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "memory <peak>" in texts
    assert "300 MB (≤ 256 MB)" in texts
    assert "lost" not in texts
