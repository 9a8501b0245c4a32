"""The page of a report: what changed between two versions, in numbers, charts and tables.

Called by `syncd snapshot diff --html`; made of plain values, so a notebook can call it too. All that comes from
outside (labels, keys, names, tags) is escaped. The file needs nothing else and asks no network; its policy forbids it.
The same input gives the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template

from syncd.domain.diff import Diff, Update, moved
from syncd.domain.model import VersionInfo
from syncd.training.report import charts

MOST_ROWS = 200

Cells = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Report:
    """What a report tells: the change from `before` to `after`, and where the two stand among all versions.

    `versions`: oldest first. `tags`: movable name → version number.
    """

    before: VersionInfo
    after: VersionInfo
    diff: Diff
    versions: Sequence[VersionInfo]
    tags: Mapping[str, int]

    def html(self) -> str:
        """The whole page. ConfigError: plotly is not installed (extra `report`)."""
        template = Template(files(__package__ or "").joinpath("page.html").read_text(encoding="utf-8"))
        title = escape(f"{self.after.dataset}: {self.before.name} → {self.after.name}")
        body = "\n".join(self._sections(title))
        return template.substitute(title=title, script=charts.script(), body=body)

    def _sections(self, title: str) -> Iterator[str]:
        yield f"<h1>{title}</h1>"
        yield f"<p>made {_time(self.before)} and {_time(self.after)}</p>"
        yield self._cards()
        yield "<h2>Labels</h2>"
        yield from self._labels()
        yield "<h2>Rows</h2>"
        yield from self._counts()
        yield "<h2>History</h2>"
        yield from self._history()
        yield "<h2>Changed rows</h2>"
        yield from self._changed()

    def _cards(self) -> str:
        rows = f"{self.before.rows:,} → {self.after.rows:,}"
        counts = [f"{len(ids):,}" for ids in (self.diff.inserted, self.diff.updated, self.diff.deleted)]
        cards = zip([*counts, rows], ("inserted", "updated", "deleted", "rows"), strict=True)
        return f'<div class="cards">{"".join(_card(number, name) for number, name in cards)}</div>'

    def _labels(self) -> Iterator[str]:
        before, after = self.diff.before.labels, self.diff.after.labels
        if not (before or after):
            yield "<p>Neither version has a submitted row with a label.</p>"
            return
        labels = {*before, *after}
        if len(labels) > charts.MOST_LABELS:
            yield f"<p>The chart shows the {charts.MOST_LABELS} most used of {len(labels):,} labels.</p>"
        yield _panel(charts.label_chart(self.diff, (self.before.name, self.after.name)))
        yield self._moved("label", before, after)

    def _counts(self) -> Iterator[str]:
        yield self._moved("status", self.diff.before.status, self.diff.after.status)
        if self.diff.before.splits or self.diff.after.splits:
            yield self._moved("split", self.diff.before.splits, self.diff.after.splits)

    def _moved(self, what: str, before: Mapping[str, int], after: Mapping[str, int]) -> str:
        return _panel(_table((what, self.before.name, self.after.name, "Δ"), moved(before, after)))

    def _history(self) -> Iterator[str]:
        if len(self.versions) > charts.MOST_VERSIONS:
            yield f"<p>The newest {charts.MOST_VERSIONS} of {len(self.versions):,} versions.</p>"
        compared = (self.before.number, self.after.number)
        yield _panel(charts.rows_chart(self.versions, self.tags, compared))
        yield _panel(charts.changes_chart(self.versions))

    def _changed(self) -> Iterator[str]:
        diff = self.diff
        inserted = (("inserted", id_, "", "", "") for id_ in diff.inserted)
        deleted = (("deleted", id_, "", "", "") for id_ in diff.deleted)
        rows = [*map(_updated, diff.updated), *inserted, *deleted]
        if not rows:
            yield "<p>The two versions hold the same rows.</p>"
            return
        if len(rows) > MOST_ROWS:
            more = f"{len(rows) - MOST_ROWS:,} more: <code>syncd snapshot diff --json</code> lists them all"
            yield f"<p>The first {MOST_ROWS} of {len(rows):,}, updated ones first; {more}.</p>"
        yield _panel(_table(("change", "annotation", "object", "fields", "labels"), rows[:MOST_ROWS]))


def _updated(one: Update) -> Cells:
    return "updated", one.annotation_id, one.key or "", ", ".join(one.fields), ", ".join(one.labels)


def _card(number: str, name: str) -> str:
    return f'<div class="card"><b>{number}</b><span>{name}</span></div>'


def _panel(content: str) -> str:
    return f'<div class="panel">{content}</div>'


def _table(headings: Sequence[str], rows: Iterable[Cells]) -> str:
    shown = list(rows)
    numbers = [any(isinstance(row[i], int) for row in shown) or heading == "Δ" for i, heading in enumerate(headings)]
    head = "".join(_cell("th", heading, number) for heading, number in zip(headings, numbers, strict=True))
    lines = ("".join(_cell("td", *pair) for pair in zip(row, numbers, strict=True)) for row in shown)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(tag: str, value: str | int, number: bool) -> str:
    sign = {"+": " more", "-": " less"}.get(str(value)[:1], "") if number and isinstance(value, str) else ""
    classes = f' class="number{sign}"' if number else ""
    return f"<{tag}{classes}>{f'{value:,}' if isinstance(value, int) else escape(value)}</{tag}>"


def _time(version: VersionInfo) -> str:
    return datetime.fromtimestamp(version.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
