"""Marks what may have been missed. No second engine: it lists, compares, and marks; the other flows act.

Three looks: objects against records in key order; changed tasks behind a cursor; all task ids against records.
Called by the daemon's timer and on a source's wish (`rescan`), and by `syncd reconcile` and `syncd dataset diff`, which
use `dry_run`.
"""

from syncd.flows.reconcile.findings import Caution, Findings
from syncd.flows.reconcile.objects import Course, reconcile_objects
from syncd.flows.reconcile.pace import NoRoom, Pace
from syncd.flows.reconcile.tasks import reconcile_changes, reconcile_tasks, remake_discarded

__all__ = [
    "Caution",
    "Course",
    "Findings",
    "NoRoom",
    "Pace",
    "reconcile_changes",
    "reconcile_objects",
    "reconcile_tasks",
    "remake_discarded",
]
