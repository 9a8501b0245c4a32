"""The charts of a report, drawn by plotly: the label distribution of two versions, and the history of all.

Called by `page`. Gives HTML that needs plotly's script on the page. All text is escaped twice over: plotly reads
labels as HTML of its own, and the page would read the script's end in them. The same input gives the same text.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from syncd.domain.diff import Diff
from syncd.domain.model import VersionInfo
from syncd.training.extras import required

MOST_LABELS = 40
MOST_VERSIONS = 500
_LONGEST = 40  # characters of a label on an axis
_BEFORE, _AFTER, _GONE = "#8b98a9", "#2f7dd1", "#d1495b"
_ROW = 30  # pixels for one label
_LAYOUT: dict[str, Any] = {
    "template": "none",
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "margin": {"l": 8, "r": 16, "t": 32, "b": 8},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
    "hoverlabel": {"bgcolor": "#1f2933", "font": {"color": "#ffffff"}},
}
_AXIS: dict[str, Any] = {"automargin": True, "zeroline": False, "fixedrange": True}
_CONFIG = {"displayModeBar": False, "responsive": True, "showTips": False}


def script() -> str:
    """Plotly's own script. ConfigError: the extra `report` is not installed."""
    source: str = required("plotly.offline", "report").get_plotlyjs()
    return source


def shown_labels(diff: Diff) -> list[str]:
    """The labels that the chart has room for: the most used of either version, the most used first."""
    before, after = diff.before.labels, diff.after.labels
    used = {label: max(before.get(label, 0), after.get(label, 0)) for label in {*before, *after}}
    return sorted(used, key=lambda label: (-used[label], label))[:MOST_LABELS]


def label_chart(diff: Diff, names: tuple[str, str]) -> str:
    """How often each label is used in submitted rows, one bar for each of the two versions."""
    labels = shown_labels(diff)
    places = list(range(len(labels)))
    sides = zip(names, (diff.before.labels, diff.after.labels), (_BEFORE, _AFTER), strict=True)
    bars: list[dict[str, Any]] = [
        {"type": "bar", "orientation": "h", "name": name, "y": places, "x": [counts.get(label, 0) for label in labels]}
        | {"marker": {"color": color}, "customdata": [escape(label) for label in labels]}
        | {"hovertemplate": "%{customdata}: %{x:,}<extra>" + name + "</extra>"}
        for name, counts, color in sides
    ]
    ticks = {"tickvals": places, "ticktext": [_short(label) for label in labels], "range": [len(labels) - 0.5, -0.5]}
    layout = {
        "barmode": "group",
        "bargap": 0.3,
        "height": 90 + _ROW * len(labels),
        "xaxis": _AXIS | {"rangemode": "tozero"} | _whole(max((max(bar["x"], default=0) for bar in bars), default=0)),
        "yaxis": _AXIS | ticks | {"showgrid": False, "ticklabelstandoff": 8},
    }
    return _html("labels", bars, layout)


def rows_chart(versions: Sequence[VersionInfo], tags: Mapping[str, int], compared: tuple[int, int]) -> str:
    """How many rows each version holds, over time; tags above their versions, the two compared ones larger."""
    shown = versions[-MOST_VERSIONS:]
    at_version: dict[int, list[str]] = {}
    for tag, number in sorted(tags.items()):
        at_version.setdefault(number, []).append(escape(tag))
    line = {
        "type": "scatter",
        "mode": "lines+markers+text",
        "x": [_time(version) for version in shown],
        "y": [version.rows for version in shown],
        "text": ["<br>".join(at_version.get(version.number, [])) for version in shown],
        "textposition": "top center",
        "cliponaxis": False,
        "customdata": [version.name for version in shown],
        "hovertemplate": "%{customdata}: %{y:,} rows<br>%{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>",
        "line": {"color": _AFTER, "width": 2, "shape": "hv"},
        "marker": {
            "color": _AFTER,
            "opacity": 1,
            "size": [13 if version.number in compared else 7 for version in shown],
        },
    }
    most = max((version.rows for version in shown), default=0)
    layout = {
        "height": 300,
        "xaxis": _AXIS | {"type": "date"},
        "yaxis": _AXIS | {"range": [0, most * 1.25 or 1]} | _whole(most),
    }
    return _html("rows", [line], layout)


def changes_chart(versions: Sequence[VersionInfo]) -> str:
    """How many rows each version inserted, updated and deleted (below the line)."""
    shown = versions[-MOST_VERSIONS:]
    kinds = (("inserted", _AFTER, 1), ("updated", _BEFORE, 1), ("deleted", _GONE, -1))
    bars: list[dict[str, Any]] = [
        {"type": "bar", "name": kind, "x": [version.name for version in shown], "marker": {"color": color}}
        | {"y": [sign * getattr(version, kind) for version in shown]}
        | {"customdata": [getattr(version, kind) for version in shown]}
        | {"hovertemplate": "%{x}: %{customdata:,} " + kind + "<extra></extra>"}
        for kind, color, sign in kinds
    ]
    layout = {"barmode": "relative", "height": 240, "xaxis": _AXIS | {"type": "category", "showgrid": False}}
    most = max((max(v.inserted + v.updated, v.deleted) for v in shown), default=0)
    return _html("changes", bars, layout | {"yaxis": _AXIS | _whole(most)})


def _html(name: str, data: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    figure = required("plotly.graph_objects", "report").Figure({"data": data, "layout": _LAYOUT | layout})
    html: str = figure.to_html(config=_CONFIG, include_plotlyjs=False, full_html=False, div_id=f"chart-{name}")
    return html


def _whole(most: int) -> dict[str, Any]:
    """Ticks at whole numbers: plotly would put them at halves of small counts, and the format would round them."""
    return {"tickformat": ",d"} | ({"dtick": 1} if most < 10 else {})


def _short(label: str) -> str:
    return escape(label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…")


def _time(version: VersionInfo) -> str:
    return datetime.fromtimestamp(version.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
