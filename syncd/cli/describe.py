"""`syncd snapshot describe`: what a version is, as a dataset card or as Croissant metadata."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.common import ConfigOption, load, print_json, the_dataset
from syncd.training.describe import About


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

    uri, storage_options, about = _located(version, config)
    snapshot = open_snapshot(uri, storage_options=storage_options)
    if format_ is Description.CROISSANT:
        print_json(snapshot.croissant(about))
    else:
        sys.stdout.write(snapshot.card(about))


def _located(version: str, config: Path | None) -> tuple[str, dict[str, str] | None, About]:
    """URI, storage options and what is said of it: of a configured dataset, where it is no URI or path."""
    if "/" in version:
        return version, None, About()
    name, at, wanted = version.partition("@")
    loaded = load(config)
    dataset = loaded.datasets[the_dataset(loaded, name)]
    options = dataset.snapshots.resolved_options(f"datasets.{name}.snapshots")
    return f"{dataset.snapshots.url.rstrip('/')}/{name}{at}{wanted}", options, dataset.about.said()
