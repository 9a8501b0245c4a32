"""The world of `tests.flows.world`, for a dataset whose tasks are made of more than one object, or less."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from syncd.domain.errors import Retryable
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.layout import Layout
from syncd.domain.model import Kind, Mark, ObjectRef, Observation, Subject
from syncd.domain.planning import of_another
from syncd.domain.routing import Route, Routes
from syncd.flows.contents import linked_variables
from syncd.flows.reconcile import Caution, Findings, reconcile_objects
from syncd.stores.views import views
from tests.flows.world import BUCKET, NAME, XML, World


class ComposedWorld(World):
    """`saw` routes events as the daemon does."""

    def __init__(self, layout: Layout, *, xml: str = XML, **options: Any) -> None:
        super().__init__(xml=xml, **options)
        self.layout = layout
        self.routes = Routes([Route(NAME, BUCKET, (), layout)])
        self.connect()

    def connect(self) -> None:
        """Views hold what they read: a process that starts anew has new ones."""
        bases, linked = {BUCKET: self.store}, linked_variables(parse_label_config(self.dataset.spec.label_config))
        stores = views(bases, self.layout, lambda ref: NAME in self.routes.datasets(ref), linked, self.clock)
        self.dataset = replace(
            self.dataset,
            stores=stores,
            bases=bases if self.layout.composed else {},
            layout=self.layout,
            routes=self.routes,
        )

    def restart(self) -> None:
        super().restart()
        self.connect()

    async def saw(self, ref: ObjectRef, seen: Observation) -> None:
        """As `Assembly.deliver`."""
        marks = [
            Mark(Subject(Kind.OBJECT, name, about.id), seen if about == ref else of_another(seen))
            for name, about in self.routes.subjects(ref)
        ]
        await self.state.mark(marks)

    async def look(self, **caution: Any) -> Findings:
        """Reconcile the one store of the dataset, without working on what it finds."""
        (store,) = self.dataset.stores.values()
        return await reconcile_objects(self.dataset, store, Caution(**caution))

    async def reconcile(self, **caution: Any) -> None:
        await self.look(**caution)
        await self.work()

    async def reconcile_quietly(self) -> None:
        """The same where the listing breaks off, as the daemon would go on after it."""
        with suppress(Retryable):
            await self.look()
        await self.work()

    async def dead(self) -> dict[str, str]:
        """Key → reason of the dead letters."""
        return {
            ObjectRef.from_id(letter.subject.id).key: letter.reason for letter in await self.state.dead_letters(NAME)
        }

    def data(self) -> dict[str, list[dict[str, Any]]]:
        """Key → data of its tasks, oldest first; only those in work."""
        found: dict[str, list[dict[str, Any]]] = {}
        for task in self.person.work.values():
            if task.retired is None:
                found.setdefault(task.new.meta["syncd"]["key"], []).append(task.new.data)
        return found
