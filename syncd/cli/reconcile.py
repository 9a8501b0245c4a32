"""`syncd reconcile`: find now what was missed, instead of waiting for the daemon's timer."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import ConfigOption, JsonOption, load, progress, show, the_dataset, with_parts
from syncd.flows.reconcile import Caution, Findings, reconcile_changes, reconcile_objects, reconcile_tasks
from syncd.flows.reconcile import remake_discarded as remake

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly


def reconcile(
    config: ConfigOption = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this dataset.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be marked.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Believe any number of deletions.")] = False,
    remake_discarded: Annotated[
        bool, typer.Option(help="First let objects whose task was deleted in the annotator have one again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare buckets and annotators with what syncd did, and mark what differs; a daemon then acts on it."""
    loaded = load(config)
    names = [the_dataset(loaded, dataset)] if dataset else list(loaded.datasets)
    caution = Caution(loaded.reconcile.retire_limit, dry_run=dry_run, force=force)
    with progress("reconcile") as step:

        async def look(parts: "Assembly") -> list[dict[str, Any]]:
            rows = []
            for name in names:
                step(name)
                if remake_discarded and not dry_run:
                    await remake(parts.datasets[name])
                rows += await findings_of(parts, name, caution)
            return rows

        rows = with_parts(loaded, look)
    show(rows, as_json=as_json, empty="No dataset is configured.", brief=True)


async def findings_of(parts: "Assembly", name: str, caution: Caution) -> list[dict[str, Any]]:
    """One row for each look at a dataset."""
    await parts.remote(name)
    dataset = parts.datasets[name]
    rows = [
        _row(name, store.bucket, await reconcile_objects(dataset, store, caution)) for store in dataset.stores.values()
    ]
    rows.append(_row(name, "all tasks", await reconcile_tasks(dataset, caution)))
    changed = Findings(seen=await reconcile_changes(dataset, caution))
    return [*rows, _row(name, "changed tasks", changed)]


def _row(dataset: str, where: str, findings: Findings) -> dict[str, Any]:
    counts = ("seen", "new", "changed", "gone", "doubled", "orphaned")
    found = {name: getattr(findings, name) for name in counts}
    examples = [f"{what}: {name}" for what, names in findings.samples.items() for name in names[:3]]
    return {"dataset": dataset, "where": where, **found, "examples": examples, "refused": findings.refused}
