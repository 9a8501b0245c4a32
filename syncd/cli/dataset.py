"""`syncd dataset`: the datasets as the configuration and their annotators have them."""

import webbrowser
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import ConfigOption, JsonOption, err, load, out, progress, show, the_dataset, with_parts
from syncd.cli.reconcile import findings_of, show_findings
from syncd.flows.reconcile import Caution

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

app = typer.Typer(help="Datasets: what tasks go into.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The dataset's name in the configuration.")]


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the configured datasets."""
    loaded = load(config)
    rows = [
        {
            "dataset": name,
            "title": dataset.title or name,
            "task": dataset.task or (str(dataset.label_config.path) if dataset.label_config else ""),
            "labels": dataset.labels,
            "annotator": dataset.annotator,
            "sources": dataset.sources,
            "snapshots": dataset.snapshots.url,
        }
        for name, dataset in loaded.datasets.items()
    ]
    show(rows, as_json=as_json, empty="No dataset is configured.")


@app.command()
def stats(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Count tasks, labelled tasks and annotations, as the annotator has them now."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def count(parts: "Assembly") -> dict[str, Any]:
        counts = await (await parts.remote(name)).stats()
        return {
            "dataset": name,
            "tasks": counts.tasks,
            "labelled": counts.labelled,
            "unlabelled": counts.tasks - counts.labelled,
            "annotations": counts.annotations,
            "skipped": counts.skipped,
        }

    show([with_parts(loaded, count, doing="count")], as_json=as_json)


@app.command()
def annotate(
    name: NameArgument,
    config: ConfigOption = None,
    browser: Annotated[bool, typer.Option(help="Open the browser, or only print the address.")] = True,
) -> None:
    """Open the dataset in its annotator."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def address(parts: "Assembly") -> str:
        return (await parts.remote(name)).url

    url = with_parts(loaded, address, doing="open")
    out.print(url, soft_wrap=True, highlight=False)
    if browser and not webbrowser.open(url):
        err.print("No browser could be opened here; open the address above.")


@app.command()
def diff(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what a reconcile would do: new, changed and gone objects, doubled and orphaned tasks. Changes nothing.

    New objects get a task; changed and gone ones what on_change and on_delete say, deleted tasks are noted; of doubled
    tasks one goes; orphaned ones, such as those whose import was given up before it came, are taken in again where they
    say which object they are of.
    """
    loaded = load(config)
    the_dataset(loaded, name)
    caution = Caution(loaded.reconcile.retire_limit, dry_run=True)
    with progress("compare") as step:
        rows = with_parts(loaded, lambda parts: findings_of(parts, name, caution, step))
    show_findings(rows, as_json=as_json)


@app.command()
def delete(
    name: NameArgument,
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete the dataset in its annotator, with all tasks and annotations. Snapshots are kept."""
    loaded = load(config)
    title = loaded.datasets[the_dataset(loaded, name)].title or name
    if not yes:
        typer.confirm(f"Delete {title!r} with all its tasks and annotations? Its snapshots are kept.", abort=True)

    from syncd.service.discovery import forget

    async def remove(parts: "Assembly") -> None:
        remote = await parts.datasets[name].annotator.find_dataset(title)
        if remote is None:
            err.print(f"{title} is not in its annotator; what syncd knew of it is forgotten.", markup=False)
        else:
            await remote.delete()
        await parts.state.forget(name)
        await forget(parts.state, parts.config, name)

    with_parts(loaded, remove, exclusive=True)  # a running daemon would make it again
    out.print(f"Deleted {title}.", markup=False)
