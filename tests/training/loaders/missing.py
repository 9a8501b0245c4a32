"""A library as if it were not installed."""

import sys

import pytest


def blocked(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Importing the module fails, until the test ends."""
    loaded = [name for name in sys.modules if name.startswith(f"{module}.")]
    for name in (module, *loaded):
        monkeypatch.setitem(sys.modules, name, None)
