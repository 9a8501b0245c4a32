"""`syncd state`: move it to another database, and make a lost one anew."""

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import ConfigOption, JsonOption, err, out, print_json, progress, show
from syncd.domain.errors import ConfigError, Problem

if TYPE_CHECKING:
    from syncd.service.rebuilding import Report

app = typer.Typer(help="The state: what syncd remembers of what it did.", no_args_is_help=True)

_UNFIT = {
    "doubled": "are second tasks of one object version; the next looks retire those that an import made twice",
    "elsewhere": "are of buckets that are not configured; they are left alone",
    "unreadable": "do not say what they are of; their objects get another task, unless you delete these before",
    "foreign": "were made by people, and stay theirs",
}
_GONE = (
    "What only the lost state knew is gone: tasks that people deleted before they had an answer in a version (their "
    "objects get another), answers of `syncd import` that still waited (repeat it), deliveries not made yet, dead "
    "letters, bad events."
)


@app.command()
def rebuild(
    config: ConfigOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where the state is there and whole; it is put aside.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a lost or damaged state anew, from the annotators' tasks and the snapshots, without a doubled task.

    Stop the daemon first. What is there of the old state is put aside, never deleted. Start the daemon afterwards: it
    finds what changed meanwhile.
    """
    from syncd.config import find_config, load_config
    from syncd.runtime.telemetry import configure_logging
    from syncd.service.rebuilding import rebuild_state

    loaded = load_config(find_config(config))
    configure_logging("warning", "console")
    with progress("rebuild") as step:
        report = asyncio.run(rebuild_state(loaded, step, replace=replace))
    rows = [{"dataset": name, **dataclasses.asdict(found)} for name, found in report.datasets.items()]
    if as_json:
        told = {"state": loaded.state.url, "aside": report.aside, "dead_links": report.dead_links}
        print_json({**told, "datasets": rows})
        return
    _tell(report, rows)


def _tell(report: "Report", rows: list[dict[str, Any]]) -> None:
    counts = [{name: value for name, value in row.items() if name != "samples"} for row in rows]
    show(counts, as_json=False, empty="No dataset is configured.", brief=True)
    for row in rows:
        for kind, what in _UNFIT.items():
            if ids := row["samples"].get(kind):
                more = ", …" if row[kind] > len(ids) else ""
                _say(f"{row['dataset']}: tasks {', '.join(ids)}{more} {what}.")
    for name in report.dead_links:
        _say(f"{name}: its tasks' links were signed by a secret of the lost state; they show nothing any more.")
    if report.aside:
        _say(f"The state of before is kept as {report.aside}.")
    _say(_GONE)


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="URL of the state to copy, sqlite:///PATH.")],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="URL of an empty one: postgresql://USER@HOST/DATABASE, or a new file.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Copy a whole state into another, empty database: from a file to PostgreSQL, or back.

    Stop the daemons first. All is copied in one transaction, and compared afterwards. Passwords are never part of a
    URL here, but in $PGPASSWORD, or in $PGPASSFILE or ~/.pgpass. Then set state.url to the new one.
    """
    from syncd.runtime.telemetry import configure_logging
    from syncd.service.copying import copy_into

    places = _state("FROM", source), _state("TO", target)
    configure_logging("warning", "console")
    with progress("copy") as step:
        counts = asyncio.run(copy_into(*places, step))
    show([{"table": name, "rows": rows} for name, rows in counts.items()], as_json=as_json)
    if not as_json:
        err.print("Every row is there, and the same.")


def _state(argument: str, url: str) -> str:
    from syncd.config import state_url

    try:
        return state_url(url)
    except ValueError as error:
        raise ConfigError([Problem(argument, "", str(error))]) from None
