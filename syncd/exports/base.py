"""What every export is made of: the items of one version in a fixed order, and what a format has to say of itself.

A format is a module with one `Format`, registered as an entry point of the group `syncd.exporters`; ours and a
stranger's are equal. It writes files under a folder and nothing else; the same version gives the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Region, read_regions
from syncd.training.query import Query
from syncd.training.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Item:
    """One answer: its row (JSON columns parsed, as `Snapshot.rows` gives it) and its regions.

    `media`: the path of its object in the export, relative and unique, such as `images/cats/1.jpg`; empty for text
    in the task itself.
    """

    row: Mapping[str, Any]
    regions: tuple[Region, ...]
    media: str


@dataclass(frozen=True, slots=True)
class Source:
    """The version to export, and which of its rows. `options`: the format's own, by name."""

    snapshot: Snapshot
    query: Query = field(default_factory=Query)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> LabelConfig | None:
        """The version's label config."""
        return self.snapshot.label_config

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels: those of the label config in its order, then, sorted, those only rows know."""
        known = self.config.labels if self.config else ()
        column = self.snapshot.to_arrow(**{**self.query, "columns": ["labels"]})["labels"]
        used = {label for labels in column.to_pylist() for label in labels}
        return (*known, *sorted(used - set(known)))

    def items(self) -> Iterator[Item]:
        """The items, in order of bucket, key and annotation id: never in the table's order, which compaction moves."""
        names = self.snapshot.schema.names
        order = [(name, "ascending") for name in ("bucket", "key", "task_id", "annotation_id") if name in names]
        table = self.snapshot.to_arrow(**self.query).sort_by(order)
        for batch in table.to_batches(max_chunksize=256):
            for row in self.snapshot.parsed(batch):
                yield Item(row, read_regions(row["result"] or []), row.get("key") or "")


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `misfit` says in one line why a version cannot be written in it (None: it can).

    `per_task`: it wants one answer a task (COCO, YOLO), so that the default policy `newest` picks it; else every
    annotation is an entry of its own.
    """

    name: str
    description: str
    write: Callable[[Source, Path], None]
    misfit: Callable[[Source], str | None]
    media: bool = False
    per_task: bool = True
