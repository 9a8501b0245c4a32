"""Builds the links by which people see objects through syncd, and the route they lead to.

Used by `assembly` and the daemon, for datasets whose `media` is "signed". Unless the configuration names
one, the secret of the links is made once and kept in the state: with another state all links end.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from syncd.config import Config
from syncd.domain.media_links import MediaLinks
from syncd.domain.model import ObjectRef, TaskState
from syncd.flows.context import Dataset
from syncd.ports import ObjectStore, StateStore
from syncd.runtime.clock import SystemClock
from syncd.web.media import MediaRoute

_SECRET = "media-secret"  # noqa: S105 - a cursor's name
_SHOWN = (TaskState.ACTIVE, TaskState.IN_DOUBT, TaskState.RETIRED)


async def media_links(state: StateStore, config: Config) -> MediaLinks:
    """The links of this state, or of the secret that the configuration names."""
    if named := config.receiver.media_secret:
        secret = hashlib.sha256(named.read("receiver.media_secret").encode()).digest()
        return MediaLinks(config.receiver.public_url, secret)
    known = await state.get(_SECRET) or await state.put_once(_SECRET, secrets.token_hex(32))
    return MediaLinks(config.receiver.public_url, bytes.fromhex(known))


def link_signed(links: MediaLinks, datasets: Mapping[str, Dataset]) -> None:
    """Have the tasks of these datasets hold such links."""
    for name, dataset in datasets.items():
        dataset.spec = replace(dataset.spec, link=partial(links.link, name))


def media_route(links: MediaLinks, state: StateStore, datasets: Mapping[str, Dataset], config: Config) -> MediaRoute:
    """The route to the objects that have a task in one of these datasets."""
    receiver = config.receiver
    find = _WithTask(datasets, state).find
    return MediaRoute(links, find, SystemClock(), receiver.media_lifetime, receiver.media_presign)


def signed(datasets: Mapping[str, Dataset], config: Config) -> dict[str, Dataset]:
    """Those whose media are signed."""
    return {name: dataset for name, dataset in datasets.items() if config.datasets[name].media == "signed"}


@dataclass(frozen=True, slots=True)
class _WithTask:
    datasets: Mapping[str, Dataset]
    state: StateStore

    async def find(self, name: str, ref: ObjectRef) -> ObjectStore | None:
        """As `web.media.Find` says."""
        dataset = self.datasets.get(name)
        if dataset is None or dataset.spec.link is None:  # its media are signed no more: neither are its old links
            return None
        store = dataset.bases.get(ref.bucket) or dataset.stores.get(ref.bucket)
        if store is None:
            return None
        if dataset.layout.manifests:  # nobody knows which rows link to it, but nobody else can have made the link
            return store
        about = (dataset.layout.subject(ref) if dataset.layout.members else ref) or ref
        records = (await self.state.records(name, [about])).get(about, ())
        shown = any(r.state in _SHOWN and (about == ref or any(part.ref == ref for part in r.parts)) for r in records)
        return store if shown else None
