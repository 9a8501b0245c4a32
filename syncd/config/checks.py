"""What no single field can tell: names that must fit each other, and what is allowed but unwise.

`cross_check` looks at the tables as they were written, so that its problems come together with those of the
fields; `warnings_of` at a configuration that is valid.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any

from pydantic import BaseModel

from syncd.config.datasets import Snapshots
from syncd.config.models import Config
from syncd.config.plugins import Plugin
from syncd.config.problems import nearest
from syncd.domain.errors import Problem
from syncd.domain.templates import NAME
from syncd.secrets import SecretRef

WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on
READABLE_BY_ALL = 0o004
_SECRET = re.compile(r"secret|password|account_key|access_key$|session_token|sas_key|sas_token")

Tables = dict[str, Mapping[str, Any]]


def cross_check(data: Mapping[str, Any]) -> list[Problem]:
    """Problems between tables. `data`: the whole file, with environment, titles and data directory filled in."""
    groups = {kind: _tables(data, kind) for kind in ("buckets", "sources", "annotators", "datasets")}
    datasets = groups["datasets"]
    templates = [Problem("templates", "", "is no table; set key_pattern in one of [datasets.*]")]
    return [
        *(templates if "templates" in data else ()),
        *_names(groups),
        *_references(groups),
        *_titles(datasets),
        *_titles_of_templates(datasets),
        *_nested_snapshots(datasets, str(data.get("data_dir"))),
    ]


def warnings_of(config: Config) -> list[str]:
    """What works but is probably not meant, one line each. Looks at the mode of secret files."""
    return [*_unused(config), *_unreachable(config), *_open_secrets(config), *_written_secrets(config)]


def _tables(data: Mapping[str, Any], kind: str) -> Tables:
    group = data.get(kind)
    return {name: table for name, table in group.items() if isinstance(table, dict)} if isinstance(group, dict) else {}


def _names(groups: Mapping[str, Tables]) -> Iterator[Problem]:
    allowed = "a name has 1 to 50 of a-z, 0-9, _ and -, and does not begin with _ or -"
    triggers = {f"datasets.{name}.triggers": _tables(table, "triggers") for name, table in groups["datasets"].items()}
    for kind, tables in {**groups, **triggers}.items():
        yield from (Problem(f"{kind}.{name}", "", allowed) for name in tables if not NAME.fullmatch(name))


def _references(groups: Mapping[str, Tables]) -> Iterator[Problem]:
    for name, table in groups["sources"].items():
        buckets = table.get("buckets")
        for bucket in buckets if isinstance(buckets, list) else ():
            yield from _reference(f"sources.{name}.buckets", bucket, groups["buckets"])
    for name, table in groups["datasets"].items():
        sources = table.get("sources")
        yield from _reference(f"datasets.{name}.annotator", table.get("annotator"), groups["annotators"])
        for source in sources if isinstance(sources, list) else ():
            yield from _reference(f"datasets.{name}.sources", source, groups["sources"])


def _reference(field: str, wanted: object, known: Tables) -> Iterator[Problem]:
    if isinstance(wanted, str) and wanted not in known:
        yield Problem(field, repr(wanted), f"is not configured; {nearest(wanted, sorted(known))}")


def _titles(datasets: Tables) -> Iterator[Problem]:
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, table in datasets.items():
        users[str(table.get("annotator")), str(table.get("title"))].append(name)
    for (_, title), (first, *others) in users.items():
        for name in others:
            allowed = f"must differ from that of datasets.{first}: both would fill one dataset in the annotator"
            yield Problem(f"datasets.{name}.title", repr(title), allowed)


def _titles_of_templates(datasets: Tables) -> Iterator[Problem]:
    """Else the second of a template's datasets would fill the first one's."""
    for name, table in datasets.items():
        title = table.get("title")
        if "key_pattern" in table and title != name and "{dataset}" not in str(title):
            yield Problem(f"datasets.{name}.title", repr(title), "must hold {dataset}: each found dataset has its own")


def _nested_snapshots(datasets: Tables, data_dir: str) -> Iterator[Problem]:
    urls = {name: _snapshot_url(table).replace("{data_dir}", data_dir).rstrip("/") for name, table in datasets.items()}
    places = {name: f"{url}/{name}" for name, url in urls.items()}
    for (name, place), (other, outer) in permutations(places.items(), 2):
        if place == outer or place.startswith(f"{outer}/"):
            allowed = f"puts this table into that of datasets.{other}; choose another folder"
            yield Problem(f"datasets.{name}.snapshots.url", "", allowed)


def _snapshot_url(table: Mapping[str, Any]) -> str:
    snapshots = table.get("snapshots")
    default = Snapshots.model_fields["url"].default
    return str(snapshots.get("url", default) if isinstance(snapshots, dict) else default)


def _unused(config: Config) -> Iterator[str]:
    datasets = {**config.datasets, **config.templates}
    if not datasets:
        yield "datasets: none is configured, so nothing becomes a task"
    used = {source for dataset in datasets.values() for source in dataset.sources}
    yield from (f"sources.{name}: no dataset uses it" for name in config.sources if name not in used)
    annotators = {dataset.annotator for dataset in datasets.values()}
    yield from (f"annotators.{name}: no dataset uses it" for name in config.annotators if name not in annotators)


def _unreachable(config: Config) -> Iterator[str]:
    host = config.receiver.host
    if host in WILDCARDS and host in config.receiver.public_url:
        yield f"receiver.public_url: nobody can call {host}; set the address that annotators reach"


def secrets_of(config: Config) -> list[tuple[str, SecretRef]]:
    """Every secret the configuration names, by dotted field."""
    return list(_secrets(config, ""))


def _open_secrets(config: Config) -> Iterator[str]:
    for field, secret in secrets_of(config):
        if secret.file and secret.file.exists() and secret.file.stat().st_mode & READABLE_BY_ALL:
            yield f"{field}: every user of this machine can read {secret.file}; chmod 600 it"


def _secrets(value: object, field: str) -> Iterator[tuple[str, SecretRef]]:
    match value:
        case SecretRef():
            yield field, value
        case BaseModel() | Mapping():
            for name, inner in value if isinstance(value, BaseModel) else value.items():
                yield from _secrets(inner, f"{field}.{name}".lstrip("."))
        case Plugin():
            yield from _secrets(value.options, field)
        case list() | tuple():
            for inner in value:
                yield from _secrets(inner, field)


def _written_secrets(config: Config) -> Iterator[str]:
    """Storage options take text, and so also a secret that is better named."""
    tables = {f"buckets.{name}": bucket.storage_options for name, bucket in config.buckets.items()}
    tables |= {f"datasets.{name}.snapshots": one.snapshots.storage_options for name, one in config.datasets.items()}
    for place, options in tables.items():
        for name, value in options.items():
            if isinstance(value, str) and _SECRET.search(name):
                yield f'{place}.storage_options.{name}: a secret in the file; name its place: {{ env = "NAME" }}'
