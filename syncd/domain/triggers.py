"""Triggers, purely: which events one wants, when its conditions hold, and the events themselves.

Used by `flows/announce`. Events are CloudEvents 1.0 (https://github.com/cloudevents/spec, JSON format): `id` is the
same however often an event is sent, so receivers drop doubles by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, Self

from syncd.domain.model import DatasetStats, JsonObject, VersionInfo

VERSION_CREATED = "io.syncd.snapshot.version.created"
TAG_MOVED = "io.syncd.snapshot.tag.moved"

_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Interest:
    """What a trigger fires on: `version`, `tag` (any tag that moves), `tag:NAME`."""

    versions: bool
    every_tag: bool
    tags: frozenset[str]

    @classmethod
    def of(cls, words: Sequence[str]) -> Self:
        """From the words of the configuration. ValueError names a word that is none."""
        for word in words:
            if word not in ("version", "tag") and not (word.startswith(_TAG) and word.removeprefix(_TAG).strip()):
                raise ValueError(f'{word!r} is nothing to fire on; there are "version", "tag" and "tag:NAME"')
        tags = frozenset(word.removeprefix(_TAG) for word in words if word.startswith(_TAG))
        return cls("version" in words, "tag" in words, tags)

    def in_tag(self, tag: str) -> bool:
        """Whether moves of this tag count."""
        return self.every_tag or tag in self.tags


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold for a version to fire; the defaults always do. Each check gives the reason why not, or "".

    `at_most_every` in seconds, shares from 0 to 1. A version that is held back fires later, when what it waits for
    has come true and no newer version is there.
    """

    min_changed_rows: int = 0
    at_most_every: float = 0.0
    max_label_share: float = 1.0
    min_rows_per_label: int = 0
    min_labelled_share: float = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return self != Conditions()

    @property
    def about_labels(self) -> bool:
        """Whether the label distribution matters."""
        return self.max_label_share < 1 or self.min_rows_per_label > 0

    def against_count(self, changed: int) -> str:
        """`changed`: rows inserted, updated and deleted since the trigger last fired."""
        if changed >= self.min_changed_rows:
            return ""
        return f"{changed} rows changed since it last fired, {self.min_changed_rows} are wanted"

    def against_time(self, fired_at: float, now: float) -> str:
        """`fired_at`: when the trigger last fired (unix seconds; 0: never)."""
        after = fired_at + self.at_most_every
        return "" if not fired_at or now >= after else f"not before {timestamp(after, 'seconds')}"

    def against_balance(self, counts: Mapping[str, int], labels: Sequence[str]) -> str:
        """`counts`: how often each label was given; `labels`: those of the label config."""
        total = sum(counts.values())
        if total and self.max_label_share < 1:
            label, most = max(counts.items(), key=lambda item: item[1])
            if most / total > self.max_label_share:
                share = f"{most / total:.0%} of all labels are {label!r}"
                return f"{share}, {self.max_label_share:.0%} at most are wanted"
        short = [label for label in labels if counts.get(label, 0) < self.min_rows_per_label]
        if short:
            found = f"{short[0]!r} has {counts.get(short[0], 0)} rows"
            return f"{found}, {self.min_rows_per_label} of each label are wanted"
        return ""

    def against_share(self, stats: DatasetStats) -> str:
        """`stats`: as the annotator counts. A dataset without tasks has no labelled ones."""
        share = stats.labelled / stats.tasks if stats.tasks else 0.0
        if share >= self.min_labelled_share:
            return ""
        return f"{stats.labelled} of {stats.tasks} tasks are labelled, {self.min_labelled_share:.0%} are wanted"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a trigger is, kept as its cursor.

    `version`: the newest looked at; `serial`: the last tag move looked at; `fired`: the version it last fired for,
    at `fired_at`; `changed`: rows changed since; `held`: why the newest version has not fired.
    """

    version: int = 0
    serial: int = 0
    fired: int = 0
    fired_at: float = 0.0
    changed: int = 0
    held: str = ""


class Move(Protocol):
    """A tag that was pointed at a version, `at` a time (unix seconds) `by` somebody."""

    @property
    def tag(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def by(self) -> str: ...


def version_event(id_: str, table: str, version: VersionInfo, labels: Mapping[str, int]) -> JsonObject:
    """A version appeared. `table`: URI of the dataset's table; `labels`: how often each label was given."""
    data = _version_data(table, version, labels)
    return _Event(id_, table, VERSION_CREATED, version.name, version.created_at, data).json()


def tag_event(id_: str, table: str, move: Move, version: VersionInfo, labels: Mapping[str, int]) -> JsonObject:
    """A tag was pointed at a version."""
    data = {"tag": move.tag, "moved_by": move.by, **_version_data(table, version, labels)}
    return _Event(id_, table, TAG_MOVED, move.tag, move.at, data).json()


def timestamp(seconds: float, precision: str = "milliseconds") -> str:
    """Unix seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _version_data(table: str, version: VersionInfo, labels: Mapping[str, int]) -> JsonObject:
    return {
        "dataset": version.dataset,
        "version": version.name,
        "number": version.number,
        "uri": f"{table}@{version.name}",
        "rows": version.rows,
        "inserted": version.inserted,
        "updated": version.updated,
        "deleted": version.deleted,
        "by_status": dict(version.by_status),
        "labels": dict(sorted(labels.items())),
        "label_config_hash": version.label_config_hash,
    }


@dataclass(frozen=True, slots=True)
class _Event:
    id: str
    source: str
    type: str
    subject: str
    at: float
    data: JsonObject

    def json(self) -> JsonObject:
        """As the JSON format of CloudEvents has it."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": timestamp(self.at),
            "datacontenttype": "application/json",
            "data": self.data,
        }
