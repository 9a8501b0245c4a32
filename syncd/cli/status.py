"""`syncd status`: what waits, what failed, and how far each dataset is, read from the state and the snapshots."""

from typing import TYPE_CHECKING, Any

from syncd.cli.common import ConfigOption, JsonOption, load, show, when, with_parts
from syncd.ports import Backlog

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every dataset: subjects waiting, dead letters, bad events of its sources, staged changes, newest version."""
    rows = with_parts(load(config), _rows, doing="status")
    show(rows, as_json=as_json, empty="No dataset is configured.")


async def _rows(parts: "Assembly") -> list[dict[str, Any]]:
    backlog = await parts.state.backlog()
    lanes = {name: [lane for lane in backlog if lane.dataset.partition("/")[0] == name] for name in parts.datasets}
    bad = await parts.state.quarantine_counts()
    return [await _row(parts, name, theirs, bad) for name, theirs in lanes.items()]


async def _row(parts: "Assembly", name: str, lanes: list[Backlog], bad: dict[str, int]) -> dict[str, Any]:
    versions = await parts.snapshots[name].versions(name)
    newest = versions[-1] if versions else None
    return {
        "dataset": name,
        "waiting": sum(lane.pending + lane.claimed for lane in lanes),
        "since": when(min((lane.oldest for lane in lanes if lane.oldest), default=None)),
        "dead": sum(lane.dead for lane in lanes),
        "quarantined": sum(bad.get(source, 0) for source in parts.config.datasets[name].sources),
        "staged": await parts.state.staged_count(name),
        "newest": newest.name if newest else None,
        "rows": newest.rows if newest else 0,
        "made": when(newest.created_at) if newest else None,
    }
