"""Storage clients do not live through a fork: what was used before one hangs in the child, for ever and silently.

Called by `location` and by training's media at each use of obstore, whose threads the child of a fork does not have.
Multiprocessing forks by default on Linux up to Python 3.13, so this is what PyTorch's workers would run into.
"""

import os

from syncd.domain.errors import Rejected

_user = {"pid": 0}


def refuse_in_fork(doing: str) -> None:
    """Rejected where this process was forked off one that had used obstore; remembers who uses it."""
    pid = os.getpid()
    if _user["pid"] not in {0, pid}:
        hint = "start workers by multiprocessing_context='spawn' or 'forkserver', or read before they start"
        raise Rejected(f"{doing}: storage cannot be read in a forked process; {hint} (media: snapshot.prefetch())")
    _user["pid"] = pid
