"""What annotations cost Label Studio to bring home, and how long they take: its webhooks heard, and all of them lost.

Called by `peers`. A proxy between daemon and server counts the requests; another one before the daemon notes when each
webhook comes, or loses it. A row is there when the tag `latest` moved to a version that holds it.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from tests.acceptance.site import choice, until
from tests.bench.counting_proxy import CountingProxy, Passed
from tests.bench.goals import Goal
from tests.bench.peer_world import Daemon, World, daemon

LOOK_EVERY_S = 10.0
"""How often the daemon looks for changes that nobody told it of (`reconcile.every`, 300 s by default)."""


def goals(world: World, *, annotations: int) -> Iterator[Goal]:
    """Measure."""
    with ExitStack() as stack:
        studio = stack.enter_context(CountingProxy(world.studio.url).running())
        hooks = stack.enter_context(CountingProxy().running())
        running = stack.enter_context(daemon(world, "pull", url=studio.url, public_url=hooks.url, every=LOOK_EVERY_S))
        hooks.target = f"http://127.0.0.1:{running.site.port}"
        pull = _Pull(world, running, studio, hooks, annotations)
        yield from pull.one_by_one()
        yield from pull.heard()
        yield from pull.lost()


class _Pull:
    """A running installation with a task for each annotation to come."""

    def __init__(
        self, world: World, running: Daemon, studio: CountingProxy, hooks: CountingProxy, annotations: int
    ) -> None:
        self._world, self._daemon, self._studio, self._hooks, self._count = world, running, studio, hooks, annotations
        self._rows = 0
        running.tell(world.put("pull/all", 3 * annotations))
        running.wait_for_tasks(3 * annotations)
        until("the webhook", lambda: "webhook.registered" in running.site.log(), timeout=60)
        self._tasks = [task["id"] for task in world.person.tasks(running.title)]

    def one_by_one(self) -> Iterator[Goal]:
        """Each annotation alone, from its webhook to its row."""
        latest = self._daemon.site.home / "data/snapshots/photos"
        milliseconds = []
        for _ in range(self._count):
            before, moved = len(self._hooks.passed), _moved(latest)
            self._submit(1)
            until("the webhook", partial(self._heard_more_than, before))
            self._daemon.wait(partial(_has_moved, latest, moved))
            milliseconds.append(1e3 * (time.perf_counter() - self._hooks.passed[before].at))
        self._see_rows()
        milliseconds.sort()
        p99 = milliseconds[int(0.99 * (len(milliseconds) - 1))]
        detail = f"p99 {p99:.0f} ms; {self._count} annotations, each alone, a version each"
        yield Goal("webhook to row of a version: p50", milliseconds[len(milliseconds) // 2], "ms", detail=detail)

    def heard(self) -> Iterator[Goal]:
        """As quickly as one person can, every webhook heard."""
        yield from self._told("every webhook heard")

    def lost(self) -> Iterator[Goal]:
        """The same, every webhook lost: found by looking for changes."""
        self._hooks.loses = True
        yield from self._told(f"every webhook lost, looked for every {LOOK_EVERY_S:.0f} s")

    def _told(self, how: str) -> Iterator[Goal]:
        before = len(self._studio.passed)
        self._submit(self._count)
        self._see_rows()
        made = self._studio.passed[before:]
        sys.stderr.write("".join(f"  {count} times {what}\n" for what, count in _counted(made).items()))
        each = len(made) / self._count
        listed = sum(one.tasks for one in made)
        detail = f"{len(made)} requests for {self._count} annotations, {listed} tasks listed"
        yield Goal(f"requests per changed annotation, {how}", each, "", 1.3, detail=detail)
        exports = sum("export" in one.path for one in made)
        yield Goal(f"exports, {how}", exports, "", 0)

    def _submit(self, count: int) -> None:
        for _ in range(count):
            self._world.person.submit(self._tasks.pop(), choice("a"))
        self._rows += count

    def _heard_more_than(self, webhooks: int) -> bool:
        return len(self._hooks.passed) > webhooks

    def _see_rows(self) -> None:
        until(f"{self._rows} rows", lambda: len(self._daemon.site.rows()) == self._rows, timeout=120)
        self._daemon.wait_until_quiet()


def _counted(made: Sequence[Passed]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for one in made:
        name = f"{one.method} {one.path}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def _has_moved(snapshots: Path, since: Any) -> bool:
    return bool(_moved(snapshots) != since)


def _moved(snapshots: Path) -> Any:
    """Changes when the tag `latest` moves."""
    (found, *_) = (*snapshots.rglob("_refs/tags/latest.json"), None)
    return found and found.stat().st_mtime_ns
