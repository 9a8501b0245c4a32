"""`syncd snapshot gc`: which versions garbage collection would take, why the others are kept, and the doing of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.arguments import NameArgument
from syncd.cli.common import ConfigOption, JsonOption, load, out, print_json, show, the_dataset, when, with_parts
from syncd.ports import Collected, Retention
from syncd.snapshots.retention import DAY, reasons

if TYPE_CHECKING:
    from syncd.config import Config
    from syncd.service.assembly import Assembly

LastOption = Annotated[int | None, typer.Option("--keep-last", min=0, help="Keep so many of the newest.")]
DaysOption = Annotated[float | None, typer.Option("--keep-days", min=0, help="Keep those so many days young.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without it nothing is removed.")]


def gc(
    name: NameArgument,
    keep_last: LastOption = None,
    keep_days: DaysOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove old versions; a dry run unless --yes is given. Kept are always the newest and the tagged ones.

    Without --keep-last and --keep-days the dataset's keep_last and keep_days count; without those the last 10
    versions and those of 30 days are kept.
    """
    loaded = load(config)
    the_dataset(loaded, name)
    keep = _retention(loaded, name, keep_last, keep_days)

    async def collect(parts: "Assembly") -> tuple[list[dict[str, Any]], Collected]:
        rows = await _plan(parts, name, keep)
        return rows, await parts.snapshots[name].collect_garbage(name, keep, dry_run=not yes)

    rows, collected = with_parts(loaded, collect, doing="garbage collection")
    if as_json:
        print_json({"versions": rows, "collected": collected.versions, "bytes": collected.bytes, "dry_run": not yes})
        return
    show(rows, as_json=False, empty=f"{name} has no version yet.")
    out.print(_summary(collected, done=yes))


def _retention(loaded: "Config", name: str, keep_last: int | None, keep_days: float | None) -> Retention:
    if keep_last is None and keep_days is None:
        return loaded.datasets[name].snapshots.retention() or Retention()
    return Retention(versions=keep_last or 0, age=(keep_days or 0.0) * DAY)


async def _plan(parts: "Assembly", name: str, keep: Retention) -> list[dict[str, Any]]:
    versions, tags = await parts.snapshots[name].versions(name), await parts.snapshots[name].tags(name)
    why = reasons(versions, tags, keep, parts.clock.now())
    return [
        {
            "version": v.name,
            "made": when(v.created_at),
            "rows": v.rows,
            "kept": ", ".join(why.get(v.number, ["no: goes"])),
        }
        for v in versions
    ]


def _summary(collected: Collected, *, done: bool) -> str:
    count = len(collected.versions)
    if not count and not collected.bytes:
        return "Nothing to remove."
    megabytes = f"{collected.bytes / 1e6:,.1f} MB"
    versions = f"{count} version{'s' * (count != 1)}"
    if done:
        return f"Removed {versions}; {megabytes} came free. Files younger than an hour go with a later collection."
    return f"Would remove {versions}; {megabytes} would come free now. To do it, add --yes."
