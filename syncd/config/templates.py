"""Datasets that keys bring: from a table with a `key_pattern` to the configuration of each dataset it finds.

Used by the loader, which puts such tables apart as `Config.templates`, and by `service` when a name was found.
"""

from collections.abc import Mapping, Sequence

from syncd.config.datasets import Dataset
from syncd.config.models import Config
from syncd.domain.templates import Discovery

PLACEHOLDER = "{dataset}"


def put_apart(config: Config) -> Config:
    """The tables with a `key_pattern` are no datasets, but templates of such."""
    templates = {name: table for name, table in config.datasets.items() if table.key_pattern is not None}
    datasets = {name: table for name, table in config.datasets.items() if name not in templates}
    return config.model_copy(update={"datasets": datasets, "templates": templates})


def with_found(config: Config, found: Mapping[str, Sequence[str]]) -> Config:
    """The configuration with the datasets that keys brought so far; `found`: their names, by template.

    A name that the configuration does not allow any more (`most` was lowered, a table took it) is left out.
    """
    datasets = dict(config.datasets)
    for template, names in found.items():
        if template in config.templates:
            for name in names[: config.templates[template].most]:
                datasets.setdefault(name, instance(template, config.templates[template], name))
    return config.model_copy(update={"datasets": datasets})


def instance(template: str, table: Dataset, name: str) -> Dataset:
    """The configuration of one dataset of a template."""
    return table.model_copy(update={"title": title_of(template, table, name)})


def title_of(template: str, table: Dataset, name: str) -> str:
    """Its title: that of the template with the name in it, or the name where the template has no title of its own."""
    return name if table.title == template else table.title.replace(PLACEHOLDER, name)


def discovery(config: Config, template: str) -> Discovery:
    """What may be found by a template: not what is called, or titled, as something else is."""
    table = config.templates[template]
    taken = {*config.datasets, *config.templates}
    return Discovery(taken, table.most)
