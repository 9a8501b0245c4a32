"""`syncd state rebuild`: a state that was lost or damaged, made anew and put in its place only once it is whole.

Called by the command line. The new state is made in a file beside the lost one, or beside the data for PostgreSQL, into
which it is copied then. Nothing is deleted: what was there is put aside.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from syncd.config import Config
from syncd.domain.errors import ConfigError, Problem
from syncd.flows.rebuild import Rebuilt, rebuild
from syncd.ports import ObjectStore
from syncd.runtime.clock import SystemClock
from syncd.service.assembly import Assembly, assemble
from syncd.service.copying import copy_into, require_empty
from syncd.service.media import signed
from syncd.state import open_state, rescue, state_file
from syncd.state.rescue import Condition

Step = Callable[[str], None]


@dataclass
class Report:
    """What was rebuilt, by dataset; and where the state of before is now, if there was one."""

    datasets: dict[str, Rebuilt] = field(default_factory=dict)
    aside: Path | None = None
    dead_links: list[str] = field(default_factory=list)
    """Datasets whose tasks show their objects by links that the lost state had signed."""


async def rebuild_state(config: Config, step: Step, *, replace: bool = False) -> Report:
    """Make the state anew. `replace`: also where a good one is there, which is put aside.

    ConfigError: a daemon runs on it, or it is there and good. Raises what annotators and snapshots raise: then
    everything is as it was.
    """
    path = state_file(config.state.url)
    return await (_on_server(config, step, replace) if path is None else _in_file(config, path, step, replace))


async def _in_file(config: Config, path: Path, step: Step, replace: bool) -> Report:
    with rescue.held(path):
        found = rescue.condition_of(path)
        if found is Condition.GOOD and not replace:
            allowed = "a state that is lost or damaged; --replace puts this one aside and makes another"
            raise ConfigError([Problem("state.url", f"{path}, which is whole and holds records", allowed)])
        secrets = {} if found is Condition.ABSENT else rescue.secrets_in(path)
        async with _made_beside(config, path, secrets, step) as (made, report):
            if found is not Condition.ABSENT:
                report.aside = rescue.put_aside(path)
            rescue.put_in_place(made, path)
        return report


async def _on_server(config: Config, step: Step, replace: bool) -> Report:
    if replace:
        allowed = "another, empty database in state.url: this one stays as it is, then"
        raise ConfigError([Problem("--replace", "a state on PostgreSQL", allowed)])
    await require_empty(config.state.place)
    async with _made_beside(config, config.data_dir / "state.db", {}, step) as (made, report):
        await copy_into(_url(made), config.state.place, step)
        rescue.remove(made)
        return report


@asynccontextmanager
async def _made_beside(
    config: Config, path: Path, secrets: Mapping[str, str], step: Step
) -> AsyncIterator[tuple[Path, Report]]:
    """A whole state in a file of its own, closed; it is gone afterwards unless it was renamed."""
    with suppress(OSError):  # opening the state tells what is wrong
        config.data_dir.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.rebuilding")
    rescue.remove(made)  # of a rebuild that was cut off
    try:
        report = await _make(config, made, secrets, step)
        yield made, report
    finally:
        rescue.remove(made)


def _url(path: Path) -> str:
    return f"sqlite:///{quote(str(path))}"


async def _make(config: Config, made: Path, secrets: Mapping[str, str], step: Step) -> Report:
    state = await open_state(made, SystemClock())
    for name, value in secrets.items():
        await state.put(name, value)
    await state.close()
    there = config.state.model_copy(update={"url": _url(made), "password": None})
    report = Report()
    async with assemble(config.model_copy(update={"state": there}), exclusive=True, observing=True) as parts:
        await _find_datasets(parts, step)
        wait = config.reconcile.settle_imports
        step(f"waits {wait:g} s, for so long an import that was cut off may still be under way")
        await parts.clock.sleep(wait)
        for name in parts.datasets:
            step(name)
            report.datasets[name] = await _rebuild(parts, name)
        if "media-secret" not in secrets and config.receiver.media_secret is None:
            report.dead_links = list(signed(parts.datasets, parts.config))
    return report


async def _find_datasets(parts: Assembly, step: Step) -> None:
    """Datasets that keys bring are found in the keys that there are."""
    for template, finder in parts.finders.items():
        for store in _stores(parts, template):
            step(f"{template}: listing {store.bucket}")
            async for page in store.list():
                await finder.look(ref for ref, _ in page)


def _stores(parts: Assembly, template: str) -> list[ObjectStore]:
    sources = parts.config.templates[template].sources
    return [store for one in sources for store in parts.sources[one].stores.values()]


async def _rebuild(parts: Assembly, name: str) -> Rebuilt:
    try:
        return await rebuild(parts.datasets[name], parts.snapshots[name])
    except ConfigError as error:
        raise parts.placed(error, parts.config.datasets[name].annotator, name) from None
