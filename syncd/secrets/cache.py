"""What secret managers told us, kept in memory: one value for each place, whoever asks and for whichever key.

Filled at the start and refreshed by the daemon (`keeping`). A value that cannot be read again stays: an outage of
the manager does not become ours. One for the process, because a `SecretRef` is read where nobody knows of others.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module

FRESH_S = 300.0
"""How long a value counts as fresh by default, seconds."""


class Manager(StrEnum):
    """Who holds a secret; the value is how people call it."""

    AWS = "AWS Secrets Manager"
    GCP = "Google Secret Manager"
    AZURE = "Azure Key Vault"


@dataclass(frozen=True, slots=True)
class Place:
    """One secret of a manager. `version` is Google's, `vault` (a URL) Azure's."""

    manager: Manager
    name: str
    version: str = ""
    vault: str = ""

    def __str__(self) -> str:
        """For people."""
        at = f" version {self.version}" if self.version else f" at {self.vault}" if self.vault else ""
        return f"{self.manager.value} secret {self.name}{at}"


class Unreadable(Exception):
    """A manager gave no secret; the message says why in one line, and what to do. `lasting`: not by waiting."""

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


Fetch = Callable[[Place], str]

_MODULES = {Manager.AWS: "aws", Manager.GCP: "gcp", Manager.AZURE: "azure"}


def fetch(place: Place) -> str:
    """Ask the manager, which may take seconds: not on the event loop. Raises Unreadable."""
    module = import_module(f"syncd.secrets.{_MODULES[place.manager]}")
    value: str = module.fetch(place)
    return value


@dataclass
class Cache:
    """Values by place; never shown by `repr`."""

    fetch: Fetch = fetch
    _values: dict[Place, str] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def value(self, place: Place) -> str:
        """The value as last read. Where nobody read it yet, it is read now, which blocks. Raises Unreadable."""
        if place not in self._values:
            self.read_again(place)
        return self._values[place]

    def read_again(self, place: Place) -> bool:
        """Ask the manager; whether the value is another now. Raises Unreadable, and keeps what was known."""
        value = self.fetch(place)
        with self._lock:
            before, self._values[place] = self._values.get(place), value
        return before is not None and before != value

    def forget(self) -> None:
        """Nothing is known any more, as at the start of a process."""
        self._values.clear()


CACHE = Cache()
