"""Packages that only some clouds need: a clear error where one is not installed. Used by this floor and `sources`."""

from collections.abc import Iterator
from contextlib import contextmanager

from syncd.domain.errors import ConfigError, Problem


@contextmanager
def needing(extra: str, field: str) -> Iterator[None]:
    """Around the imports of an optional package. ConfigError says which extra brings it, for which `field`."""
    try:
        yield
    except ImportError as error:
        package = (error.name or "a package").partition(".")[0]
        found = f"the Python package {package} is not installed"
        raise ConfigError([Problem(field, found, f"needs its packages: pip install 'syncd[{extra}]'")]) from None
