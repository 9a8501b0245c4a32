"""What all commands share: options, output for people and for machines, and one clear line for every error."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from syncd.config import Config, find_config, load_config, warnings_of
from syncd.domain.errors import ConfigError, Problem, SyncdError

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

EXIT_FAILED = 1
EXIT_CONFIG = 78  # sysexits.h: EX_CONFIG; the systemd unit does not restart on it

T = TypeVar("T")

out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; else $SYNCD_CONFIG, ./syncd.toml, ~/.config, /etc."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def load(path: Path | None) -> Config:
    """The configuration, with the datasets found so far, and its warnings on standard error. Raises ConfigError."""
    config = load_config(find_config(path))
    if config.templates:
        from syncd.service.discovery import with_datasets_found

        config = with_datasets_found(config)
    for warning in warnings_of(config):
        err.print("[yellow]warning:[/]", escape(warning), highlight=False, soft_wrap=True)
    return config


def with_parts(
    config: Config, use: "Callable[[Assembly], Awaitable[T]]", *, exclusive: bool = False, doing: str = ""
) -> T:
    """Build the parts, use them, close them. A command only looks: it makes and mends nothing in an annotator.

    `doing`: what a spinner says meanwhile, on a terminal; empty where the command itself shows or asks something.
    """
    with err.status(doing) if doing and err.is_terminal else nullcontext():
        from syncd.runtime.telemetry import configure_logging
        from syncd.service.assembly import assemble

        async def job() -> T:
            async with assemble(config, exclusive=exclusive, observing=True) as parts:
                if exclusive and (others := await parts.replica.others()):
                    found = f"a state that {', '.join(others)} works on"
                    raise ConfigError([Problem("state.url", found, "no daemon on this state; stop them first")])
                return await use(parts)

        configure_logging("warning", "console")
        return asyncio.run(job())


def the_dataset(config: Config, name: str) -> str:
    """`name` if it is configured. ConfigError says which there are."""
    if name not in config.datasets:
        known = ", ".join(sorted(config.datasets)) or "none"
        raise ConfigError([Problem("dataset", name, f"one of the configured datasets: {known}")])
    return name


def show(
    rows: Sequence[dict[str, Any]], *, as_json: bool, title: str = "", empty: str = "nothing", brief: bool = False
) -> None:
    """A listing: one dict a row; a table for people, a JSON list for machines.

    `brief`: the table leaves out columns that are empty or 0 in every row.
    """
    if as_json:
        print_json(rows)
    elif not rows:
        out.print(empty)
    else:
        out.print(table(_brief(rows) if brief else rows, title))


def _brief(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [column for column in rows[0] if any(row[column] for row in rows)]
    return [{column: row[column] for column in kept} for row in rows]


def table(rows: Sequence[dict[str, Any]], title: str = "") -> Table:
    """The rows under headings taken from their keys."""
    made = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column, value in rows[0].items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # names and dates are there to be copied; what may be long folds
        copied = column in {"dataset", "delivery", "version", "made", "waiting_since", "since", "status"}
        heading = column.replace("_", " ")
        widest_word = max(map(len, heading.split()))
        justify: Any = "right" if number else "left"
        made.add_column(heading, justify=justify, overflow="fold", no_wrap=copied, min_width=widest_word)
    for row in rows:
        made.add_row(*(_cell(value) for value in row.values()))
    return made


def _cell(value: object) -> str:
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else escape(printable(str(value)))


def printable(text: str) -> str:
    """The text with what a terminal would obey, or not show, escaped: keys are other people's."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if text.isprintable() else "".join(shown)


def print_json(value: object) -> None:
    """JSON on standard output, and nothing else there."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def when(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner with elapsed time on a terminal, plain lines elsewhere; call what it yields with each step."""
    if not err.is_terminal:
        yield lambda step: err.print(f"{what}: {step}", markup=False, highlight=False, soft_wrap=True)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what)
        yield lambda step: bar.update(task, description=f"{what}: {step}")


def exit_with(error: SyncdError) -> int:
    """Print an expected error, each problem on a line of its own; returns the exit code."""
    problems = error.problems if isinstance(error, ConfigError) else [error]
    for problem in problems:
        err.print("[bold red]error:[/]", escape(str(problem)), highlight=False, soft_wrap=True)
    return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED
