"""A library as if it were not installed."""

import sys
from typing import Any

import pytest


class _Nothing:
    def __init__(self, module: str) -> None:
        self._module = module

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] == self._module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def blocked(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Importing the module fails, until the test ends."""
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Nothing(module), *sys.meta_path])
