"""`syncd snapshot describe`: what a version is, as a dataset card or as Croissant metadata."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from syncd.cli.common import ConfigOption, print_json
from syncd.cli.located import located


class Description(StrEnum):
    """What it is described as."""

    CARD = "card"
    CROISSANT = "croissant"


def describe(
    version: Annotated[str, typer.Argument(help="NAME or NAME@VERSION (latest by default), or a full URI.")],
    format_: Annotated[
        Description, typer.Option("--format", "-f", help="card: Markdown; croissant: JSON-LD for machines.")
    ] = Description.CARD,
    config: ConfigOption = None,
) -> None:
    """Print the dataset card or the Croissant metadata of a version."""
    from syncd.training.reader import open_snapshot

    found = located(version, config)
    snapshot = open_snapshot(found.uri, storage_options=found.storage_options)
    if format_ is Description.CROISSANT:
        print_json(snapshot.croissant(found.about))
    else:
        sys.stdout.write(snapshot.card(found.about))
