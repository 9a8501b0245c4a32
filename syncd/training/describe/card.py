"""The dataset card of one version: Markdown that people read, with the front matter that Hugging Face reads.

Called by `Snapshot.card`, by exports (as `README.md`) and by `syncd snapshot describe`. No person is named in it. https://huggingface.co/docs/hub/datasets-cards
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from syncd.domain.labels.configs import LabelConfig
from syncd.training.describe.about import About
from syncd.training.describe.croissant import default_description, published
from syncd.training.describe.facts import Facts, facts_of

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_CATEGORIES = {
    ("choices", "image"): "image-classification",
    ("rectanglelabels", "image"): "object-detection",
    ("polygonlabels", "image"): "image-segmentation",
    ("brushlabels", "image"): "image-segmentation",
    ("keypointlabels", "image"): "keypoint-detection",
    ("choices", "text"): "text-classification",
    ("labels", "text"): "token-classification",
    ("choices", "audio"): "audio-classification",
    ("textarea", "audio"): "automatic-speech-recognition",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """How to open what the card lies in. `files`: split to the glob of its Parquet files, beside the card."""

    code: str
    files: Mapping[str, str] = field(default_factory=dict)


def card(snapshot: "Snapshot", about: About | None = None, *, opening: Opening | None = None) -> str:
    """The card as Markdown. `opening` None: by syncd, where `ROOT` stands for the snapshots' root."""
    about, info = about or About(), snapshot.info
    opening = opening or Opening(f'syncd.open_snapshot("ROOT/{info.dataset}@{info.name}")')
    facts = facts_of(snapshot)
    sections = (
        _front_matter(snapshot, about, opening, facts),
        f"# {info.dataset} {info.name}\n\n{about.description or default_description(info, facts.by_label)}",
        f"Version {info.number} of {published(info)}." + (f" {about.homepage}" if about.homepage else ""),
        f"## Open it\n\n```python\n{opening.code}\n```",
        _counts(facts),
        _questions(snapshot.label_config, info.label_config_hash),
        _provenance(facts),
        _limits(facts),
        f"## Citation\n\n```\n{about.citation}\n```" if about.citation else "",
    )
    return "\n\n".join(section for section in sections if section) + "\n"


# ---------------------------------------------------------------- front matter


def _front_matter(snapshot: "Snapshot", about: About, opening: Opening, facts: Facts) -> str:
    values: dict[str, Any] = {
        "pretty_name": snapshot.dataset,
        **_license(about.license),
        "tags": [*about.keywords, "syncd"],
        "task_categories": _categories(snapshot.label_config),
        "size_categories": [next((name for most, name in _SIZES if facts.answers < most), "1M<n<10M")],
        "configs": _configs(opening),
    }
    lines = (f"{name}: {_yaml(value)}" for name, value in values.items() if value)
    return "\n".join(("---", *lines, "---"))


def _yaml(value: object) -> str:
    """JSON is YAML, and needs no library."""
    return orjson.dumps(value).decode()


def _license(license_: str) -> dict[str, str]:
    if "://" in license_:
        return {"license": "other", "license_name": "other", "license_link": license_}
    return {"license": license_.lower()} if license_ else {}


def _categories(config: LabelConfig | None) -> list[str]:
    if config is None:
        return []
    kinds = ((control.kind, config.media_kind) for control in config.controls.values())
    return list(dict.fromkeys(_CATEGORIES[kind] for kind in kinds if kind in _CATEGORIES))


def _configs(opening: Opening) -> list[dict[str, Any]]:
    files = [{"split": split, "path": path} for split, path in opening.files.items()]
    return [{"config_name": "default", "data_files": files}] if files else []


# ---------------------------------------------------------------- sections


def _counts(facts: Facts) -> str:
    by_status = _table(("answers", "count"), ((name, count) for name, count in facts.by_status.items() if count))
    splits = ((name or "none", answers, tasks) for name, (answers, tasks) in facts.by_split.items())
    tables = (
        f"Submitted answers: {facts.answers:,}, to tasks: {facts.tasks:,}, about objects: {facts.objects:,}.",
        by_status,
        _table(("split", "answers", "tasks"), splits),
        _table(("label", "answers"), facts.by_label.items()),
    )
    return "## What is in it\n\n" + "\n\n".join(table for table in tables if table)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    if not lines:
        return ""
    rule = "|".join(("---", *("--:" for _ in heads[1:])))
    return "\n".join((f"| {' | '.join(heads)} |", f"|{rule}|", *lines))


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else " ".join(str(value).split()).replace("|", "\\|")


def _questions(config: LabelConfig | None, hash_: str) -> str:
    if config is None:
        return ""
    lines = [
        f"- `{control.name}`: {control.tag} on {_shown(config, control.to_name)}"
        + (f": {', '.join(map(_cell, control.labels))}" if control.labels else "")
        for control in config.controls.values()
    ]
    return "\n".join(("## What people were asked", "", *lines, "", f"Label config `{hash_[:12]}`."))


def _shown(config: LabelConfig, names: tuple[str, ...]) -> str:
    return ", ".join(config.objects[name].tag if name in config.objects else "region" for name in names)


def _provenance(facts: Facts) -> str:
    people = "one person" if facts.annotators == 1 else f"{facts.annotators:,} people"
    lines = [f"Answered by {people}; tasks that several answered: {facts.repeated:,}."]
    if facts.ground_truth:
        lines.append(f"Answers that a reviewer made the reference of their task: {facts.ground_truth:,}.")
    if facts.buckets:
        lines.append(f"The objects lie in {', '.join(f'`{bucket}`' for bucket in facts.buckets)}.")
    if facts.assisted:
        models = ", ".join(f"`{model}` ({count:,})" for model, count in facts.assisted.items())
        lines.append(f"Answers that began with a prediction, by model: {models}.")
    lines.append("Every row names its object's version, its task, its prediction and its annotation.")
    return "## Where it comes from\n\n" + "\n".join(lines)


def _limits(facts: Facts) -> str:
    lines = list(_limit_lines(facts))
    return "\n".join(("## Limits", "", *(f"- {line}" for line in lines))) if lines else ""


def _limit_lines(facts: Facts) -> Iterator[str]:
    if invalid := facts.by_status.get("invalid"):
        yield f"Answers that do not fit the label config, left out unless asked for: {invalid:,}."
    if facts.retired:
        yield f"Answers about objects that changed or left since: {facts.retired:,}."
    if not facts.repeated and facts.answers:
        yield "No task was answered by several people: how far people agree is not known."
    if unused := [label for label, count in facts.by_label.items() if not count]:
        yield f"Labels that nobody gave: {', '.join(map(_cell, unused))}."
    if sum(facts.assisted.values()) * 2 > facts.answers:
        yield "Most answers began with a prediction, which may have led people."
