"""From a file and the environment to a `Config`, or to all their problems at once.

Called by `cli`. Reads the configuration file and the label configs it names, nothing else.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from syncd.config.base import resolved
from syncd.config.checks import cross_check
from syncd.config.environment import overlay
from syncd.config.models import Config
from syncd.config.plugins import Plugin, load_plugin
from syncd.config.problems import problems_of
from syncd.config.templates import put_apart
from syncd.domain.errors import ConfigError, Problem


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of `path`, or of the first place where there is one, with `SYNCD_…` from the environment.

    Raises ConfigError with every problem of file, environment and plug-in options.
    """
    file = find_config(path, environ)
    data = _read(file)
    origins, problems = overlay(data, environ)
    context: dict[str, Any] = {"base": file.absolute().parent}
    context["data_dir"] = _fill_in(data, context["base"], environ)
    problems += cross_check(data)
    load = _Loading(context, origins, problems)
    plugins = {kind: load.plugins((kind,), data.get(kind)) for kind in ("sources", "annotators")}
    try:
        config = Config.model_validate({**data, **plugins, "datasets": load.datasets(data)}, context=context)
    except ValidationError as error:
        raise ConfigError([*problems_of(error, Config, (), origins), *problems]) from None
    if problems:
        raise ConfigError(problems)
    return put_apart(config)


def find_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to load: `path` (`--config`), else $SYNCD_CONFIG, else the first of the usual places.

    ConfigError tells where it looked.
    """
    usual = [Path("syncd.toml"), _home(environ) / ".config/syncd/syncd.toml", Path("/etc/syncd/syncd.toml")]
    if path is not None:
        places, origin = [path], "--config"
    elif environ.get("SYNCD_CONFIG"):
        places, origin = [Path(environ["SYNCD_CONFIG"])], "$SYNCD_CONFIG"
    else:
        places, origin = usual, "--config and $SYNCD_CONFIG are not set"
    if found := next((place for place in places if place.exists()), None):
        return found
    looked = ", ".join(str(place) for place in places)
    raise ConfigError([Problem("configuration", "", f"no file found; looked at {looked} ({origin})")])


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "/")  # a service may have none


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problem = Problem(str(file), "", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problem = Problem(str(file), "", "must be UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        problem = Problem(str(file), "", f"is not valid TOML: {error}")
    raise ConfigError([problem])


def _fill_in(data: dict[str, Any], base: Path, environ: Mapping[str, str]) -> Path | None:
    """Fill in defaults that lie outside their field: titles, and the data directory, which is returned."""
    datasets = data.get("datasets")
    for name, table in datasets.items() if isinstance(datasets, dict) else ():
        if isinstance(table, dict):
            table.setdefault("title", name)
    default = Path(environ.get("XDG_DATA_HOME") or _home(environ) / ".local/share") / "syncd"
    if isinstance(chosen := data.setdefault("data_dir", str(default)), str):
        data["data_dir"] = directory = resolved(Path(chosen), base)
        return directory
    return None


@dataclass(frozen=True, slots=True)
class _Loading:
    """Makes plug-ins of those tables that are right; what is wrong with the others is added to `problems`."""

    context: Mapping[str, Any]
    origins: Mapping[str, str]
    problems: list[Problem]

    def plugins(self, place: tuple[str, ...], tables: object) -> object:
        """The plug-ins of the tables at a place. What is no table is left for the model to complain about."""
        if not isinstance(tables, dict):
            return tables or {}
        plugins: dict[str, Plugin] = {}
        for name, table in tables.items():
            if not isinstance(table, dict):
                self.problems.append(Problem(".".join((*place, name)), "", "must be a table"))
                continue
            try:
                plugins[name] = load_plugin((*place, name), table, self.context, self.origins)
            except ConfigError as error:
                self.problems.extend(error.problems)
        return plugins

    def datasets(self, data: Mapping[str, Any]) -> object:
        """The tables of the datasets, with their triggers made."""
        datasets = data.get("datasets", {})
        if not isinstance(datasets, dict):
            return datasets
        return {
            name: {**table, "triggers": self.plugins(("datasets", name, "triggers"), table["triggers"])}
            if isinstance(table, dict) and "triggers" in table
            else table
            for name, table in datasets.items()
        }
