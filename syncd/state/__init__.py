"""The state store: the durable set of subjects, what we did about them, and rows on their way to a snapshot.

`open_state` opens the one on SQL; `holder_of` tells which daemon holds it, `state_file` where it is. `MemoryState` is
the reference in memory. Both are a `ports.StateStore`. Used by `service`; tests of flows run on the reference.
"""

from syncd.state.memory import MemoryState
from syncd.state.opening import holder_of, open_state, state_file
from syncd.state.sql import SqlState

__all__ = ["MemoryState", "SqlState", "holder_of", "open_state", "state_file"]
