"""Storage clients do not live through a fork: in the child obstore hangs for ever, and Lance now and then crashes.

Called by `location` and `table` at each use of the two, whose threads the child of a fork does not have. By default
multiprocessing forks on Linux up to Python 3.13, so this is what PyTorch's workers would run into.
"""

import os

from syncd.domain.errors import Rejected

_user = {"pid": 0}


def refuse_in_fork(doing: str) -> None:
    """Rejected where this process was forked off one that had used the clients; remembers who uses them."""
    pid = os.getpid()
    if _user["pid"] not in {0, pid}:
        hint = "start workers with multiprocessing_context='spawn' or 'forkserver'"
        raise Rejected(f"{doing}: storage cannot be used in a forked process; {hint}, or read before they start")
    _user["pid"] = pid
