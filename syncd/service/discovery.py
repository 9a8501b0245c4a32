"""Datasets that appear with the first object of theirs: found in keys, remembered in the state, taken up at once.

`Assembly.deliver` asks for each batch of events; the daemon's job `template:NAME` lists the buckets for what events
missed. The names are in the state before the first mark is, so a restart knows them. A name that may not be one is
logged once, and its objects become no tasks.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

import orjson
import structlog

from syncd.config import Config
from syncd.config.templates import discovery, instance, title_of, with_found
from syncd.domain.errors import ConfigError, Retryable
from syncd.domain.model import ObjectRef
from syncd.domain.routing import Route
from syncd.domain.templates import KeyPattern
from syncd.ports import Cursors, EventSource
from syncd.runtime.clock import SystemClock
from syncd.state import open_state, state_file

log = structlog.get_logger()

TITLE = range(3, 51)
"""How long titles may be where all annotators take them: what a key brings must not stop the daemon."""
MOST_REFUSED = 1_000

TakeUp = Callable[[str, str], None]
"""Template and name: have the dataset at work. Called once for each."""
ByItself = Callable[[str], AbstractAsyncContextManager[None]]
"""Keeps other daemons on the same state off what is named."""


async def found(state: Cursors, config: Config) -> dict[str, list[str]]:
    """The names found so far, by template."""
    return {template: _names(await state.get(_cursor(template))) for template in config.templates}


async def forget(state: Cursors, config: Config, dataset: str) -> None:
    """Let a name be unknown again; the next object of that name makes the dataset anew. Idempotent."""
    for template, names in (await found(state, config)).items():
        if dataset in names:
            await state.put(_cursor(template), _text([name for name in names if name != dataset]))


@dataclass
class Finder:
    """Looks at keys for one template. `routes`: which objects of which bucket it speaks of."""

    template: str
    routes: Sequence[Route]
    pattern: KeyPattern
    state: Cursors
    names: list[str]
    config: Callable[[], Config]
    take_up: TakeUp
    by_itself: ByItself = lambda _: nullcontext()
    _refused: set[str] = field(default_factory=set)
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self, refs: Iterable[ObjectRef]) -> None:
        """Take up what these objects bring; durable on return. Retryable: the state cannot be written."""
        for name in dict.fromkeys(filter(None, (self._name(ref) for ref in refs))):
            async with self._taking:
                if name not in self.names and not self._refuses(name):
                    await self._remember(name)
                    self._take_up(name)
                    log.info("dataset.found", dataset=name, template=self.template)

    async def learn(self) -> None:
        """Take up what other daemons on this state found."""
        async with self._taking:
            for name in _names(await self.state.get(_cursor(self.template))):
                if name not in self.names:
                    self._take_up(name)

    async def _remember(self, name: str) -> None:
        """Durable on return. Other daemons may add others at the same time."""
        async with self.by_itself(_cursor(self.template)):
            known = _names(await self.state.get(_cursor(self.template)))
            if name not in known:
                await self.state.put(_cursor(self.template), _text([*known, name]))

    def _take_up(self, name: str) -> None:
        """What could not be taken up is not among the names: it is tried again when its event comes again."""
        try:
            self.take_up(self.template, name)
        except ConfigError as error:  # such as a secret that is being replaced: its events wait, and are not lost
            raise Retryable(f"dataset {name} of {self.template} cannot be made: {error}") from error
        self.names.append(name)

    def _name(self, ref: ObjectRef) -> str | None:
        name = self.pattern.name(ref.key)
        if not name or name in self.names or name in self._refused:
            return None
        return name if any(route.bucket == ref.bucket and route.subject(ref) for route in self.routes) else None

    def _refuses(self, name: str) -> bool:
        config = self.config()
        why = discovery(config, self.template).refuses(name, self.names) or self._title_refused(config, name)
        if why and len(self._refused) < MOST_REFUSED:  # of more names nobody could remember that they were told
            self._refused.add(name)
            log.warning("dataset.refused", dataset=name[:100], template=self.template, reason=why)
        return bool(why)

    def _title_refused(self, config: Config, name: str) -> str:
        title = title_of(self.template, config.templates[self.template], name)
        if len(title) not in TITLE:
            return f"its title {title!r} has {len(title)} characters; 3 to 50 are allowed"
        annotator = config.templates[self.template].annotator
        others = (other.title for other in config.datasets.values() if other.annotator == annotator)
        return f"another dataset is titled {title!r}" if title in others else ""


async def finders(
    config: Config, state: Cursors, sources: Mapping[str, EventSource], current: Callable[[], Config], take_up: TakeUp
) -> dict[str, Finder]:
    """One for each template. `current`: the configuration as it is by then, with what was found."""
    made = {}
    for template, names in (await found(state, config)).items():
        table = config.templates[template]
        layout = table.layout(f"datasets.{template}")
        routes = [
            Route(template, bucket, (sources[one].selection,), layout)
            for one in table.sources
            for bucket in sources[one].stores
        ]
        pattern = KeyPattern(table.key_pattern or "")
        made[template] = Finder(template, routes, pattern, state, names, current, take_up)
    return made


def added(config: Config, template: str, name: str) -> Config:
    """The configuration with one dataset more."""
    table = instance(template, config.templates[template], name)
    return config.model_copy(update={"datasets": {**config.datasets, name: table}})


def with_datasets_found(config: Config) -> Config:
    """The configuration as commands see it: with what the state knows of, where there is a state. Blocking."""
    path = state_file(config.state.url)
    if not config.templates or (path is not None and not path.exists()):
        return config
    return asyncio.run(_with_datasets_found(config))


async def _with_datasets_found(config: Config) -> Config:
    state = await open_state(config.state.place, SystemClock(), exclusive=False)
    try:
        return with_found(config, await found(state, config))
    finally:
        await state.close()


def _cursor(template: str) -> str:
    return f"found:{template}"


def _names(text: str | None) -> list[str]:
    names: list[str] = orjson.loads(text) if text else []
    return names


def _text(names: Sequence[str]) -> str:
    return orjson.dumps(names).decode()
