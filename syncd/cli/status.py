"""`syncd status`: what waits, what failed, and how far each dataset is, read from the state and the snapshots."""

from typing import TYPE_CHECKING, Any

from syncd.cli.common import ConfigOption, JsonOption, load, out, print_json, show, when, with_parts
from syncd.ports import Backlog

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every dataset: subjects waiting, dead letters, bad events of its sources, staged changes, newest version.

    And the daemons that are at work.
    """
    rows, daemons = with_parts(load(config), _rows, doing="status")
    if as_json:
        print_json([{**row, "daemons": daemons} for row in rows])
        return
    show(rows, as_json=False, empty="No dataset is configured.")
    out.print(f"at work: {', '.join(daemons) or 'no daemon'}", markup=False, highlight=False, soft_wrap=True)


async def _rows(parts: "Assembly") -> tuple[list[dict[str, Any]], list[str]]:
    from syncd.service.replicas import daemons_of

    daemons = await daemons_of(parts.state, parts.config.state.url)
    backlog = await parts.state.backlog()
    lanes = {name: [lane for lane in backlog if lane.dataset.partition("/")[0] == name] for name in parts.datasets}
    bad = await parts.state.quarantine_counts()
    return [await _row(parts, name, theirs, bad) for name, theirs in lanes.items()], daemons


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
