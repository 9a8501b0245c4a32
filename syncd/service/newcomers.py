"""The daemon's side of datasets that appear while it runs: their jobs, their webhook's route, and the search for them.

A dataset that a key brings is at work as soon as its first event is marked; here it gets what else a dataset has. Its
jobs run inside the one job `newcomers`, so a bug in one of them ends the daemon as it does elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from syncd.domain.errors import SyncdError
from syncd.runtime.supervisor import Job
from syncd.service.assembly import Assembly
from syncd.service.discovery import Finder
from syncd.service.upkeep import Upkeep

log = structlog.get_logger()

LEARN_S = 5.0


class Newcomers:
    """`listen` opens a dataset's webhook route; `jobs` names what runs for one."""

    def __init__(
        self,
        parts: Assembly,
        upkeep: Upkeep,
        listen: Callable[[str], Awaitable[None]],
        jobs: Callable[[str], Sequence[Job]],
    ) -> None:
        self._parts = parts
        self._upkeep = upkeep
        self._listen = listen
        self._jobs = jobs

    async def run(self) -> None:
        """Give each dataset that is taken up what it needs."""
        async with asyncio.TaskGroup() as group:
            while True:
                name = await self._parts.news.get()
                self._upkeep.add(name)
                await self._listen(name)
                for job in self._jobs(name):
                    group.create_task(_run(job), name=job.name)

    async def learn(self) -> None:
        """Take up soon what other daemons on this state found: annotators call any of them."""
        while True:
            await asyncio.sleep(LEARN_S)
            try:
                await self._parts.learn()
            except SyncdError as error:
                log.warning("datasets.not_learned", error=str(error))

    async def find(self, finder: Finder) -> None:
        """List a template's buckets for datasets whose first event was lost: as often as they are reconciled."""
        await self._upkeep.search(finder.template, partial(self._search, finder))

    async def _search(self, finder: Finder) -> None:
        table = self._parts.config.templates[finder.template]
        for store in (store for one in table.sources for store in self._parts.sources[one].stores.values()):
            try:
                async for page in store.list():
                    await finder.look(ref for ref, _ in page)
            except SyncdError as error:
                log.warning("template.not_searched", template=finder.template, error=str(error))


async def _run(job: Job) -> None:
    await job.run()
