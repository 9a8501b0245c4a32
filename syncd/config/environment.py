"""Settings from the environment, laid over those of the file.

Used by the loader. `SYNCD_RECEIVER__PORT` is `receiver.port`, `SYNCD_DATASETS__MY_FRUITS__TITLE` the `title` of
`[datasets.my-fruits]`. A value that opens with `[` or `{` is TOML, any other is text; an empty one counts as not
set. Other variables that begin with `SYNCD_` are left alone: they may hold secrets. Own code and not
pydantic-settings, which passes over misspelt variables and cannot look into the tables of plug-ins.
"""

import tomllib
from collections.abc import Mapping
from typing import Any

from syncd.domain.errors import Problem

PREFIX = "SYNCD_"
SEPARATOR = "__"
PLAIN_FIELDS = {"data_dir"}


def overlay(data: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """Put the settings of the environment into `data`.

    Returns dotted field → variable it came from, and the values that are no TOML.
    """
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    for variable, raw in sorted(environ.items()):
        path = _path(variable) if raw else ()
        if not path:
            continue
        try:
            origins[_put(data, path, _value(raw))] = variable
        except tomllib.TOMLDecodeError:
            problems.append(Problem(f"${variable}", "", "opens like a TOML list or table, but is none"))
    return origins, problems


def _path(variable: str) -> tuple[str, ...]:
    parts = tuple(variable.removeprefix(PREFIX).lower().split(SEPARATOR))
    is_setting = variable.startswith(PREFIX) and all(parts) and (len(parts) > 1 or parts[0] in PLAIN_FIELDS)
    return parts if is_setting else ()


def _value(raw: str) -> Any:
    return tomllib.loads(f"value = {raw}")["value"] if raw[0] in "[{" else raw


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> str:
    """Set the value; returns its dotted field. Where the file has no table at a parent, that is left as it is."""
    table, names = data, list[str]()
    for part in path:
        names.append(_name_in(table, part))
        if len(names) < len(path):
            table = table.setdefault(names[-1], {})
            if not isinstance(table, dict):
                return ".".join(names)
    table[names[-1]] = value
    return ".".join(names)


def _name_in(table: Mapping[str, Any], part: str) -> str:
    """The name the file uses: variables have neither capitals nor hyphens."""
    return next((name for name in table if name.lower().replace("-", "_") == part), part)
