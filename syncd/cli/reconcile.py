"""`syncd reconcile`: find now what was missed, instead of waiting for the daemon's timer.

It is the backfill of an existing bucket, too: it marks all its objects, no more at a time than the daemon can take, and
goes on where it stopped when it is cut off and repeated.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import (
    EXIT_FAILED,
    ConfigOption,
    JsonOption,
    err,
    exit_with,
    load,
    progress,
    show,
    the_dataset,
    with_parts,
)
from syncd.config import is_server
from syncd.domain.errors import Retryable
from syncd.flows.context import Dataset
from syncd.flows.reconcile import (
    Caution,
    Course,
    Findings,
    NoRoom,
    Pace,
    reconcile_changes,
    reconcile_objects,
    reconcile_tasks,
)
from syncd.flows.reconcile import remake_discarded as remake
from syncd.state import holder_of

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

LINE_EVERY_S = 10.0


def reconcile(
    config: ConfigOption = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this dataset.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be marked.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Believe any number of deletions.")] = False,
    remake_discarded: Annotated[
        bool, typer.Option(help="First let objects whose task was deleted in the annotator have one again.")
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0, help="Most objects marked a second; 0: no limit. Default: reconcile.rate."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare buckets and annotators with what syncd did, and mark what differs; a daemon then acts on it.

    Cut off and repeated within the hour, it goes on where it stopped. Exit 1: a look failed, or deletions were refused.
    """
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
                rows += await findings_of(parts, name, caution, step, rate)
            return rows

        rows = with_parts(loaded, look)
    show_findings(rows, as_json=as_json)
    if not dry_run and any(row["refused"] for row in rows):
        raise typer.Exit(EXIT_FAILED)


def show_findings(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """One row for each look; the names, up to 20 of each kind, only in JSON. Exit 1 when a look failed."""
    left_out = {"examples"} if as_json else {"names", "failed"}
    shown = [{name: value for name, value in row.items() if name not in left_out} for row in rows]
    show(shown, as_json=as_json, empty="No dataset is configured.", brief=True)
    failed = [row for row in rows if row["failed"]]
    for row in failed:
        exit_with(Retryable(f"{row['dataset']}: {row['where']}: {row['failed']}"))
    if failed:
        raise typer.Exit(EXIT_FAILED)


async def findings_of(
    parts: "Assembly", name: str, caution: Caution, step: Callable[[str], None], rate: float | None = None
) -> list[dict[str, Any]]:
    """One row for each look at a dataset, also where it failed: others go on. Each step of it is told."""
    await parts.remote(name)
    dataset, config, often = parts.datasets[name], parts.config, _not_too_often(step)
    daemons = await parts.replica.others()
    pace = Pace(
        rate=config.reconcile.rate if rate is None else rate,
        most_waiting=config.reconcile.most_waiting,
        idle=(lambda: not daemons) if is_server(config.state.url) else (lambda: holder_of(config.state.url) is None),
        told=lambda waiting: often(f"{name}: waits for the daemon, which has {waiting:,} objects of it to work on"),
    )
    rows = []
    for store in dataset.stores.values():
        course = Course(pace, looker="command", watch=_watcher(f"{name}: {store.bucket}", often))
        rows.append(await _looked(name, store.bucket, reconcile_objects(dataset, store, caution, course)))
    step(f"{name}: all tasks")
    rows.append(await _looked(name, "all tasks", reconcile_tasks(dataset, caution)))
    return [*rows, await _looked(name, "changed tasks", _changes(dataset, caution))]


async def _changes(dataset: Dataset, caution: Caution) -> Findings:
    return Findings(seen=await reconcile_changes(dataset, caution))


async def _looked(dataset: str, where: str, look: Awaitable[Findings]) -> dict[str, Any]:
    try:
        return _row(dataset, where, await look)
    except NoRoom:
        raise
    except Retryable as error:
        return _row(dataset, where, Findings(), str(error))


def _not_too_often(step: Callable[[str], None]) -> Callable[[str], None]:
    """On a terminal a step overwrites the last; elsewhere each is a line, and one in a while is enough."""
    last = 0.0

    def often(text: str) -> None:
        nonlocal last
        if err.is_terminal or time.monotonic() - last >= LINE_EVERY_S:
            last = time.monotonic()
            step(text)

    return often


def _watcher(what: str, step: Callable[[str], None]) -> Callable[[Findings], None]:
    """Tells how far a listing is, and how fast it goes."""
    started, first = time.monotonic(), -1

    def watch(found: Findings) -> None:
        nonlocal first
        first = (found.seen if found.resumed else 0) if first < 0 else first
        speed = (found.seen - first) / max(time.monotonic() - started, 0.001)
        differ = ", ".join(
            f"{getattr(found, kind):,} {kind}" for kind in ("new", "changed", "gone") if getattr(found, kind)
        )
        step(f"{what}: {found.seen:,} objects, {speed:,.0f} a second; {differ or 'nothing differs'}")

    return watch


def _row(dataset: str, where: str, findings: Findings, failed: str = "") -> dict[str, Any]:
    counts = ("seen", "new", "changed", "gone", "doubled", "orphaned")
    found = {name: getattr(findings, name) for name in counts}
    examples = [f"{what}: {name}" for what, names in findings.samples.items() for name in names[:3]]
    return {
        "dataset": dataset,
        "where": where,
        **found,
        "examples": examples,
        "names": findings.samples,
        "refused": findings.refused,
        "failed": failed,
    }
