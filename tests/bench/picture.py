"""The benchmarks as one picture: for each goal, how many times better than asked, on a logarithmic scale.

Called by `results`. Plain SVG without fonts or scripts, so that it shows in a README; it follows a dark page.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from tests.bench.goals import Goal

_WIDTH, _LEFT, _RIGHT = 900, 400, 130
_ROW, _TOP = 22, 78
_LEAST, _MOST = 0.5, 32.0
"""What the scale shows; bars beyond end at its edge."""
_TICKS = (0.5, 1, 2, 4, 8, 16, 32)
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .bench { font-weight: 600 }
  .quiet, .tick { fill: #6e7781 }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .goal { stroke: #57606a; stroke-width: 1.5 }
  .ok { fill: #2da44e }
  .short { fill: #cf222e }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet, .tick { fill: #8d96a0 }
    .grid { stroke: #30363d }
    .goal { stroke: #9198a1 }
    .ok { fill: #3fb950 }
    .short { fill: #f85149 }
  }
"""


def picture(benches: Mapping[str, Sequence[Goal]]) -> str:
    """The SVG. Goals without a ratio, such as `0 lost`, stand in the table only."""
    shown = {name: goals for name in benches if (goals := [g for g in benches[name] if g.margin is not None])}
    bottom = _TOP + _ROW * sum(1 + len(goals) for goals in shown.values())
    return "\n".join([*_frame(bottom), *_bars(shown), "</svg>"])


def _frame(bottom: int) -> Iterator[str]:
    size = f"{_WIDTH} {bottom + 12}"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{_WIDTH}" role="img">'
    yield f"<style>{_STYLE}</style>"
    yield _text(16, 26, "Measured beside its goal: how many times better than asked", "title")
    yield _text(16, 46, "Right of the line the goal is reached. Figure and goal stand beside each bar.", "quiet")
    for tick in _TICKS:
        x = _x(tick)
        kind = "goal" if tick == 1 else "grid"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>'
        yield _text(x, _TOP - 12, "goal" if tick == 1 else f"{tick:g} \N{MULTIPLICATION SIGN}", "tick", "middle")


def _bars(benches: Mapping[str, Sequence[Goal]]) -> Iterator[str]:
    y = _TOP
    for name, goals in benches.items():
        yield _text(16, y + 15, name, "bench")
        for goal in goals:
            y += _ROW
            yield from _bar(goal, y)
        y += _ROW


def _bar(goal: Goal, y: int) -> Iterator[str]:
    edges = sorted((_x(1), _x(goal.margin or 1)))
    kind = "ok" if goal.ok else "short"
    yield _text(_LEFT - 10, y + 15, _shortened(goal.name), "name", "end")
    yield f'<rect class="{kind}" x="{edges[0]:.1f}" y="{y + 4}" width="{edges[1] - edges[0]:.1f}" height="14" rx="2"/>'
    yield _text(max(edges[1], _x(1)) + 6, y + 15, f"{goal.told} ({goal.wanted})", "quiet")


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:59]}…"


def _x(margin: float) -> float:
    inside = min(max(margin, _LEAST), _MOST)
    part = math.log(inside / _LEAST) / math.log(_MOST / _LEAST)
    return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
