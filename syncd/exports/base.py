"""What every export is made of: the items of one version in a fixed order, and what a format has to say of itself.

A format is a module with one `Format`, registered as an entry point of the group `syncd.exporters`; ours and a
stranger's are equal. It writes files under a folder and nothing else; the same version gives the same bytes: so no
dates but the version's, no order but that of `Source.items`, no path of this machine. `run` calls it, checks the
options, writes `manifest.json` beside what it wrote, and tells what was lost. Formats for images go on from
`pictures`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Region, read_regions
from syncd.training.query import Query
from syncd.training.snapshot import Snapshot

if TYPE_CHECKING:
    from syncd.exports.beside import Beside

_TOGETHER = 2_048  # rows read at once: the answers of a whole version need not fit into memory
_ORDER = ("bucket", "key", "version_id", "etag", "task_id", "annotation_id")


@dataclass(frozen=True, slots=True)
class Item:
    """One answer: its row (JSON columns parsed, as `Snapshot.rows` gives it) and its regions.

    `media`: the key of its object, empty where it has none; what a file beside the export is called, `pictures` says.
    """

    row: Mapping[str, Any]
    regions: tuple[Region, ...]
    media: str


@dataclass(frozen=True, slots=True)
class Source:
    """The version to export, and which of its rows. `options`: the format's own, by name (checked to be known).

    `beside`: where media lie beside the export; None for formats without `media`. `lost`: what the format could not
    hold, so far.
    """

    snapshot: Snapshot
    query: Query = field(default_factory=Query)
    options: Mapping[str, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    beside: "Beside | None" = None

    def lose(self, what: str, count: int = 1) -> None:
        """Say that the format cannot hold something: counted by what it is, told when the export is done."""
        self.lost[what] += count

    @property
    def config(self) -> LabelConfig | None:
        """The version's label config."""
        return self.snapshot.label_config

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels: those of the label config in its order, then, sorted, those only rows know."""
        known = self.config.labels if self.config else ()
        return (*known, *sorted(self.used_labels - set(known)))

    @property
    def used_labels(self) -> set[str]:
        """The labels of the rows alone, of whatever kind."""
        column = self.snapshot.to_arrow(**self.asking("labels"))["labels"]
        return {label for labels in column.to_pylist() for label in labels}

    def tables(self) -> Iterator[Any]:
        """The rows as `pyarrow.Table`s of up to 512 rows, in the order of `items`; JSON columns stay text."""
        names = self.snapshot.schema.names
        ids = self.snapshot.row_ids(**self.query)
        by = [name for name in _ORDER if name in names]
        order = self.snapshot.take(ids, columns=by).add_column(0, "id", ids).sort_by([(n, "ascending") for n in by])
        for start in range(0, len(ids), _TOGETHER):
            yield self.snapshot.take(order["id"][start : start + _TOGETHER].combine_chunks(), **self.query)

    def items(self) -> Iterator[Item]:
        """The items, in the order of what they are about: never in the table's order, which compaction moves."""
        for table in self.tables():
            for batch in table.to_batches():
                for row in self.snapshot.parsed(batch):
                    yield Item(row, read_regions(row["result"] or []), row.get("key") or "")

    def asking(self, *columns: str) -> Query:
        """The query, for these columns."""
        query: Query = {**self.query, "columns": columns}
        return query


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `misfit` says in one line why a version cannot be written in it (None: it can).

    `per_task`: it wants one answer a task (COCO, YOLO), so that the default policy `newest` picks it; else every
    annotation is an entry of its own. `media`: it is about images that lie beside it; `needs_files`: it finds them by
    their path, so that a URI will not do; `flat`: they all lie in one folder. `options`: its own options, name → what
    it is for.
    """

    name: str
    description: str
    write: Callable[[Source, Path], None]
    misfit: Callable[[Source], str | None]
    media: bool = False
    per_task: bool = True
    needs_files: bool = False
    flat: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
