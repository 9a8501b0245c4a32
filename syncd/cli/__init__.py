"""The command line: one file per group of commands; this one puts them together."""

import sys

import typer

from syncd.cli import (
    bucket,
    dataset,
    dead_letter,
    deliveries,
    demo,
    describe,
    doctor,
    export,
    import_,
    label_config,
    label_studio,
    lineage,
    quarantine,
    reconcile,
    run,
    snapshot,
    state,
    status,
)
from syncd.cli.common import exit_with
from syncd.domain.errors import SyncdError

app = typer.Typer(
    name="syncd",
    help="Event-driven sync between buckets, annotation tools and training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("status")(status.status)
app.command("reconcile")(reconcile.reconcile)
app.command("export")(export.export)
app.command("lineage")(lineage.lineage)
app.command("import")(import_.import_)
app.add_typer(bucket.app, name="bucket")
app.add_typer(dataset.app, name="dataset")
snapshot.app.command("describe")(describe.describe)
app.add_typer(snapshot.app, name="snapshot")
app.add_typer(dead_letter.app, name="dead-letter")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(state.app, name="state")
app.add_typer(label_config.app, name="label-config")
app.add_typer(label_studio.app, name="label-studio")


def main() -> None:
    """The console script: expected errors are one clear line and an exit code, never a traceback."""
    try:
        app()
    except SyncdError as error:
        sys.exit(exit_with(error))
