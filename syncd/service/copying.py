"""`syncd state copy`: a whole state from one database to another, and who may not be at work meanwhile.

Called by the command line and by `rebuilding`.
"""

from collections.abc import Callable

from syncd.config import is_server
from syncd.domain.errors import ConfigError, Problem
from syncd.runtime.clock import SystemClock
from syncd.service.replicas import daemons_of
from syncd.state import SqlState, open_state, state_file
from syncd.state.copying import copy_state, refuse_rows


async def copy_into(source: str, target: str, step: Callable[[str], None]) -> dict[str, int]:
    """Copy a state, given by its URL, with the password in it if need be; how many rows, by table.

    ConfigError: the source is not there, a daemon runs on either, or the target holds rows. Raises what `copy_state`
    raises: then the target is empty.
    """
    path = state_file(source)
    if path is not None and not path.exists():
        raise ConfigError([Problem("source", str(path), "a state that is there")])
    clock = SystemClock()
    known = await open_state(source, clock)
    try:
        await _refuse_daemons(known, source, "source")
        made = await open_state(target, clock)
        try:
            await _refuse_daemons(made, target, "target")
            return await copy_state(known, made, step)
        finally:
            await made.close()
    finally:
        await known.close()


async def require_empty(url: str) -> None:
    """ConfigError: a daemon works on the state, or it holds rows."""
    state = await open_state(url, SystemClock())
    try:
        await _refuse_daemons(state, url, "target")
        await refuse_rows(state)
    finally:
        await state.close()


async def _refuse_daemons(state: SqlState, url: str, which: str) -> None:
    """On a server; a file is held against them while it is open."""
    if is_server(url) and (names := await daemons_of(state, url)):
        found = f"a state that {', '.join(names)} works on"
        raise ConfigError([Problem(which, found, "a state that no daemon works on; stop them first")])
