"""Libraries that only some ways of reading need: a clear error where one is not installed."""

import importlib
from typing import Any

from syncd.domain.errors import ConfigError, Problem


def required(module: str, extra: str = "") -> Any:
    """The module, imported. ConfigError says which extra of syncd brings it (default: the module's name)."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        allowed = f"installed for this: pip install 'syncd[{extra or module.partition('.')[0]}]'"
        raise ConfigError([Problem(module, "not installed", allowed)]) from None
