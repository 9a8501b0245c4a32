"""Sources, annotators and triggers by type: the class is found by entry point and checks its own options.

Used by the loader. A class is imported only when the file names its type. It has an attribute `Options`, a
pydantic model of everything in its table but `type`; strangers' classes come in by the same entry point groups
as ours, `syncd.sources`, `syncd.annotators` and `syncd.triggers`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel, ValidationError

from syncd.config.problems import problems_of
from syncd.domain.errors import ConfigError, Problem

GROUPS = {"sources": "syncd.sources", "annotators": "syncd.annotators", "triggers": "syncd.triggers"}


@dataclass(frozen=True, slots=True)
class Plugin:
    """A configured source, annotator or trigger: its class, and the options to make one with."""

    type: str
    factory: Callable[..., Any]
    options: BaseModel


def load_plugin(
    place: tuple[str, ...], table: Mapping[str, Any], context: Mapping[str, Any], origins: Mapping[str, str]
) -> Plugin:
    """The plug-in of `[sources.NAME]`: `place` is where its table stands, the last part but one says what it is.

    ConfigError names every problem of the table by its full dotted name.
    """
    options = {key: value for key, value in table.items() if key != "type"}
    factory = _factory(place[-2], ".".join((*place, "type")), table.get("type"))
    try:
        checked = factory.Options.model_validate(options, context=dict(context))
    except ValidationError as error:
        raise ConfigError(problems_of(error, factory.Options, place, origins)) from None
    return Plugin(str(table["type"]), factory, checked)


def _factory(kind: str, field: str, wanted: object) -> type[Any]:
    installed = {point.name: point for point in entry_points(group=GROUPS[kind])}
    if not isinstance(wanted, str) or wanted not in installed:
        found = "" if wanted is None else repr(wanted)
        raise ConfigError([Problem(field, found, f"must be one of the installed types: {_listed(installed)}")])
    try:
        return installed[wanted].load()  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise ConfigError([Problem(field, repr(wanted), _remedy(installed[wanted], error))]) from None


def _listed(installed: Mapping[str, EntryPoint]) -> str:
    return ", ".join(sorted(installed)) or "none"


def _remedy(point: EntryPoint, error: Exception) -> str:
    """Our extras carry the name of the type they are for."""
    extras = (point.dist.metadata.get_all("Provides-Extra") if point.dist else None) or []
    if isinstance(error, ModuleNotFoundError) and point.dist and point.name in extras:
        return f"needs packages that are not installed: pip install '{point.dist.name}[{point.name}]'"
    return f"cannot be imported: {error}"
