"""`syncd export`: one version of a dataset in another format."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from syncd.cli.common import ConfigOption, JsonOption, err, out, print_json, show
from syncd.cli.located import located
from syncd.domain.errors import ConfigError, Problem


def export(
    version: Annotated[
        str, typer.Argument(help="NAME or NAME@VERSION of a configured dataset (latest by default), or a full URI.")
    ] = "",
    format_: Annotated[str, typer.Option("--format", "-f", help="The format; --list shows them.")] = "",
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder to write; made where it is not.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only this split: train, val, test …")] = None,
    status: Annotated[str, typer.Option(help="submitted, skipped, draft, invalid or all.")] = "submitted",
    tasks: Annotated[
        str | None, typer.Option(help="Where several answered one task: newest, majority, ground-truth or all.")
    ] = None,
    media: Annotated[
        str | None,
        typer.Option(help="Images: link (hard links, else copies; the default), copy, uri (name them) or none."),
    ] = None,
    changed: Annotated[
        str, typer.Option(help="Images that are not what was labelled any more: error, skip or keep.")
    ] = "error",
    option: Annotated[list[str] | None, typer.Option(help="An option of the format, NAME=VALUE; repeatable.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where the format cannot hold everything.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another export in the folder.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the formats.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one version in another format: COCO, YOLO, CSV … The same version gives the same bytes each time."""
    from syncd.exports.formats import said_in
    from syncd.exports.run import export_snapshot, lost_text

    if list_:
        _list(as_json=as_json)
        return
    _required(version, format_, folder)
    at = located(version, config)
    asked = {"split": split, "tasks": tasks}
    with _bar() as progress:
        done = export_snapshot(
            at.uri,
            format_,
            folder or "",
            media=media,
            changed=changed,
            strict=strict,
            force=force,
            options={**said_in(format_, at.about.to_options()), **_options(option or ())},
            storage_options=at.storage_options,
            progress=progress,
            status=status,
            **{name: value for name, value in asked.items() if value is not None},  # type: ignore[arg-type]
        )
    if done.lost:
        told = f"{format_} cannot hold all of it: {lost_text(done.lost)}"
        err.print("[yellow]warning:[/]", escape(told), highlight=False, soft_wrap=True)
    if as_json:
        summary = {name: done.manifest[name] for name in ("dataset", "version", "format")}
        counts = {"files": len(done.manifest["files"]), "images": done.images, "lost": dict(done.lost)}
        print_json({**summary, "out": str(done.path), **counts, "unchanged": done.unchanged})
    else:
        what = f"{done.manifest['dataset']}@{done.manifest['version']} as {format_}"
        verb = "is there already" if done.unchanged else f"{len(done.manifest['files'])} files, {done.images} images"
        out.print(escape(f"{what} → {done.path}: {verb}"), highlight=False, soft_wrap=True)


def _list(*, as_json: bool) -> None:
    from syncd.exports.formats import formats

    rows: list[dict[str, Any]] = [
        {
            "format": one.name,
            "description": one.description,
            "options": dict(one.options) if as_json else [*one.options],
        }
        for one in formats()
    ]
    show(rows, as_json=as_json, empty="No format is installed.", brief=True)


def _required(version: str, format_: str, folder: Path | None) -> None:
    missing = [
        Problem(name, "", allowed)
        for name, value, allowed in (
            ("VERSION", version, "name a version, as in fruits@v12 or s3://bucket/snapshots/fruits@v12"),
            ("--format", format_, "name a format; syncd export --list shows them"),
            ("--out", folder, "name a folder to write to"),
        )
        if not value
    ]
    if missing:
        raise ConfigError(missing)


def _options(given: Sequence[str]) -> dict[str, str]:
    wrong = [Problem("--option", text, "NAME=VALUE") for text in given if not text.partition("=")[1]]
    if wrong:
        raise ConfigError(wrong)
    return {name: value for name, _, value in (text.partition("=") for text in given)}


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not err.is_terminal:
        yield lambda _what, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("export", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
