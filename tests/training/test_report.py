"""The report on what changed: complete, inert, the same each time, and it asks no network."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from syncd.domain.diff import Counts, Diff, Update
from syncd.domain.errors import ConfigError
from syncd.domain.model import VersionInfo
from syncd.training.report import charts
from syncd.training.report.page import Report

EVIL = '</script><script>alert("x")</script>'
Attributes = list[tuple[str, str | None]]


def version(number: int, rows: int = 10) -> VersionInfo:
    return VersionInfo("fruits", number, 1_760_000_000.0 + number * 3600, rows, 7, 2, 1)


def report(diff: Diff, tags: dict[str, int] | None = None, versions: int = 3) -> Report:
    shown = [version(number, 10 * number) for number in range(1, versions + 1)]
    return Report(shown[0], shown[-1], diff, shown, tags or {})


PLAIN = Diff(
    inserted=("7", "8"),
    updated=(Update("1", "cats/1.jpg", ("labels", "result"), ("dog",), ("cat",)),),
    deleted=("3",),
    before=Counts({"cat": 1_500, "dog": 3}, {"submitted": 9}, {"train": 8, "val": 1}),
    after=Counts({"cat": 1_499, "dog": 5}, {"submitted": 10}, {"train": 9, "val": 1}),
)


class Page(HTMLParser):
    """What a browser makes of a page: its text, tables, scripts, and everything it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            self.scripts[-1] += data
        elif inside in {"td", "th"}:
            self.rows[-1][-1] += data
        elif inside != "style":
            self.text += data


def test_it_tells_what_changed_in_numbers_and_tables() -> None:
    page = Page(report(PLAIN).html())
    assert "fruits: v1 → v3" in page.text
    assert re.search(r"2\s*inserted\s*1\s*updated\s*1\s*deleted\s*10 → 30\s*rows", page.text)
    for line in (
        ["label", "v1", "v3", "Δ"],
        ["cat", "1,500", "1,499", "-1"],
        ["dog", "3", "5", "+2"],
        ["submitted", "9", "10", "+1"],
        ["train", "8", "9", "+1"],
        ["val", "1", "1", ""],
        ["updated", "1", "cats/1.jpg", "labels, result", "+dog, -cat"],
        ["inserted", "7", "", "", ""],
        ["deleted", "3", "", "", ""],
    ):
        assert line in page.rows


def test_the_charts_hold_the_counts_the_versions_and_the_tags() -> None:
    made = report(PLAIN, {"latest": 3, "production": 1})
    labels, rows, changes = [script for script in Page(made.html()).scripts if "Plotly.newPlot(" in script][-3:]
    assert '"x":[1500,3]' in labels.replace(" ", "")
    assert '"x":[1499,5]' in labels.replace(" ", "")
    assert '"y":[10,20,30]' in rows.replace(" ", "")
    assert '"text":["production","","latest"]' in rows.replace(" ", "")
    assert '"y":[-1,-1,-1]' in changes.replace(" ", "")


def test_small_counts_have_ticks_at_whole_numbers() -> None:
    few = Diff((), (), (), Counts({"cat": 1}), Counts({"cat": 3}))
    assert '"dtick":1' in charts.label_chart(few, ("v1", "v2")).replace(" ", "")
    assert '"dtick":1' not in charts.label_chart(PLAIN, ("v1", "v2")).replace(" ", "")


def test_text_from_outside_is_inert() -> None:
    evil = Diff(
        (EVIL,), (Update(EVIL, EVIL, ("labels",), (EVIL,)),), (), Counts({EVIL: 1}), Counts({EVIL: 2}, {EVIL: 1})
    )
    plain, page = Page(report(PLAIN).html()), Page(report(evil, {EVIL: 1}).html())
    assert page.tags.count("script") == plain.tags.count("script")
    assert ["updated", EVIL, EVIL, "labels", f"+{EVIL}"] in page.rows
    assert not any("<script>alert" in script for script in page.scripts[1:])
    drawn = next(script for script in page.scripts[1:] if '"ticktext"' in script).replace("\\u002f", "/")
    assert "&lt;/script&gt;&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in drawn


def test_nothing_is_loaded_from_anywhere() -> None:
    page = Page(report(PLAIN).html())
    assert {"link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(page.tags)
    assert not [value for name, value in page.attributes if name in {"src", "href", "action", "data", "srcset"}]
    (policy,) = [value for name, value in page.attributes if "default-src" in value]
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?:|//", policy)
    styles = re.findall(r"<style>(.*?)</style>", report(PLAIN).html(), re.DOTALL)
    assert not [style for style in styles if "url(" in style or "@import" in style]


def test_the_same_diff_gives_the_same_bytes() -> None:
    assert report(PLAIN, {"a": 1, "b": 1}).html() == report(PLAIN, {"b": 1, "a": 1}).html()


def test_the_first_200_changed_rows_are_listed_and_the_rest_is_counted() -> None:
    updated = tuple(Update(str(n), None, ("labels",)) for n in range(150))
    page = Page(report(Diff(tuple(f"i{n}" for n in range(1_000)), updated, ())).html())
    assert [row[0] for row in page.rows].count("updated") == 150
    assert [row[0] for row in page.rows].count("inserted") == 50
    assert "The first 200 of 1,150, updated ones first; 950 more" in page.text


def test_of_many_labels_the_chart_shows_the_most_used_and_the_table_all() -> None:
    counts = {f"label {n}": n for n in range(1, 101)}
    many = Diff((), (), (), Counts(counts), Counts({"new": 1_000}))
    assert charts.shown_labels(many)[:3] == ["new", "label 100", "label 99"]
    page = Page(report(many).html())
    assert f"The chart shows the {charts.MOST_LABELS} most used of 101 labels." in page.text
    assert sum(row[0].startswith("label ") for row in page.rows) == 100


def test_versions_that_hold_the_same_are_said_to() -> None:
    page = Page(report(Diff((), (), ())).html())
    assert "The two versions hold the same rows." in page.text
    assert "Neither version has a submitted row with a label." in page.text


def test_without_plotly_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plotly", "plotly.offline", "plotly.graph_objects"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'syncd[report]'")):
        report(PLAIN).html()


@pytest.mark.system
def test_a_browser_draws_it_and_its_policy_is_not_broken(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    assert browser, "this test needs chromium"
    path = tmp_path / "report.html"
    path.write_text(report(PLAIN, {"production": 1}).html(), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run([browser, *options, path.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    assert not re.findall(r".*(?:CONSOLE|Refused|violates).*", done.stderr)
    assert done.stdout.count('<g class="point"') == 2 * 2 + 3 * 3
    assert ">production</text>" in done.stdout
