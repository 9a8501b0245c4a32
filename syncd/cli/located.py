"""Which version a command means: `NAME` or `NAME@VERSION` of a configured dataset, or a full URI. Used by commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from syncd.cli.common import load, the_dataset
from syncd.training.describe import About


@dataclass(frozen=True, slots=True)
class Located:
    """Where a version is, and what its configuration says of the dataset."""

    uri: str
    storage_options: Mapping[str, str] | None
    about: About


def located(version: str, config: Path | None) -> Located:
    """The version that was typed. ConfigError: there is no such dataset, or the configuration is wrong."""
    if "/" in version:
        return Located(version, None, About())
    name, at, wanted = version.partition("@")
    loaded = load(config)
    dataset = loaded.datasets[the_dataset(loaded, name)]
    options = dataset.snapshots.resolved_options(f"datasets.{name}.snapshots")
    return Located(f"{dataset.snapshots.url.rstrip('/')}/{name}{at}{wanted}", options, dataset.about.said())
