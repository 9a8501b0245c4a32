"""Named places at which the daemon kills itself: before and after each outside effect and each write of its state.

The product has no hooks: `install` wraps methods of its adapters, which `daemon` calls before it calls the command
line. A name is what is done and when, such as `tasks imported: before`. After means that it was done, and that nobody
was told yet.
"""

import asyncio
import functools
import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REACHED = "failpoint reached: "
"""What the daemon writes to its log, and then dies."""
_STATE = ""


@dataclass(frozen=True)
class Place:
    """A function that has an effect: `what` it does, the module and class (may be empty) it is in.

    Without a module it is a method of the state store, whatever that is made of. `often`: several times in any life of
    a daemon, so that not the first need be the end.
    """

    what: str
    method: str
    module: str = _STATE
    owner: str = ""
    often: bool = False


_STUDIO = "syncd.annotators.label_studio.dataset"
_PLACES = (
    Place("state opened", "open_state", "syncd.service.assembly"),
    Place("subjects marked", "mark", often=True),
    Place("subjects claimed", "claim", often=True),
    Place("lease renewed", "renew"),
    Place("subjects settled", "settle", often=True),
    Place("intent written", "intend"),
    Place("intent abandoned", "abandon"),
    Place("import recorded", "fulfil"),
    Place("records amended", "amend"),
    Place("rows staged", "stage"),
    Place("rows committed", "committed"),
    Place("cursor put", "put", often=True),
    Place("events announced", "announce"),
    Place("delivery logged", "attempted"),
    Place("state closed", "close"),
    Place("dataset opened", "ensure_dataset", "syncd.annotators.label_studio.server", "LabelStudio"),
    Place("webhook registered", "ensure_webhook", _STUDIO, "LabelStudioDataset"),
    Place("tasks imported", "import_tasks", _STUDIO, "LabelStudioDataset"),
    Place("marker looked up", "find_by_marker", _STUDIO, "LabelStudioDataset"),
    Place("tasks retired", "retire", _STUDIO, "LabelStudioDataset"),
    Place("tasks restored", "restore", _STUDIO, "LabelStudioDataset"),
    Place("rows merged", "merge", "syncd.snapshots.table", "Table"),
    Place("version named", "create", "syncd.snapshots.names", "Names"),
    Place("latest moved", "hint", "syncd.snapshots.names", "Names"),
    Place("version tagged", "tag", "syncd.snapshots.table", "Table"),
    Place("webhook answered", "_webhook", "syncd.sources.receiver", "Receiver"),
    Place("event answered", "_event", "syncd.sources.receiver", "Receiver"),
)
MIGRATION = Place("state migrated", "migrate", "syncd.state.opening")
"""Happens once in the life of a state, so it has runs of its own."""

TIMES = ("before", "after")
NAMES = tuple(f"{place.what}: {time}" for place in _PLACES for time in TIMES)
OFTEN = frozenset(f"{place.what}: {time}" for place in _PLACES for time in TIMES if place.often)
MIGRATIONS = tuple(f"{MIGRATION.what}: {time}" for time in TIMES)


@dataclass
class Fuse:
    """Which failpoint, and at which hit of it."""

    name: str
    hit: int

    def pass_by(self, place: Place, time: str) -> None:
        """Somebody is there: end the process, with nothing cleaned up, if this is the hit."""
        if f"{place.what}: {time}" == self.name:
            self.hit -= 1
            if self.hit == 0:
                os.write(2, f"{REACHED}{self.name}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)


def install(fuse: Fuse) -> None:
    """Wrap every place. AttributeError: the program has no such function any more; mend the list above."""
    for place in (*_PLACES, MIGRATION):
        if place.module != _STATE:
            module = importlib.import_module(place.module)
            owner = getattr(module, place.owner) if place.owner else module
            setattr(owner, place.method, _wrapped(getattr(owner, place.method), place, fuse))
    assembly = importlib.import_module("syncd.service.assembly")
    vars(assembly)["open_state"] = _opening(vars(assembly)["open_state"], fuse)


def _opening(open_state: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    """The state store is wrapped when it is there, for which class it is depends on its URL."""

    async def opened(*args: Any, **kwargs: Any) -> Any:
        state = await open_state(*args, **kwargs)
        for place in _PLACES:
            if place.module == _STATE:
                setattr(state, place.method, _wrapped(getattr(state, place.method), place, fuse))
        return state

    return opened


def _wrapped(function: Callable[..., Any], place: Place, fuse: Fuse) -> Callable[..., Any]:
    @functools.wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        if _is_probe(place, args):
            return await function(*args, **kwargs)
        fuse.pass_by(place, "before")
        result = await function(*args, **kwargs)
        fuse.pass_by(place, "after")
        return result

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        fuse.pass_by(place, "before")
        result = function(*args, **kwargs)
        fuse.pass_by(place, "after")
        return result

    return awaited if asyncio.iscoroutinefunction(function) else called


def _is_probe(place: Place, args: tuple[Any, ...]) -> bool:
    """The health route writes a cursor of its own, again and again; and a claim that finds nothing is none."""
    return place.method == "put" and "ready" in args[:1]
