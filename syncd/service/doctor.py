"""`syncd doctor`: tries everything the daemon will need, one finding a line, with what to do about it.

Called by the command line. It reads and probes; the only traces it leaves are the snapshot store's one small probe
object and the webhook that the daemon registers as well.
"""

import asyncio
import os
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from syncd.config import Config
from syncd.domain.errors import SyncdError
from syncd.domain.routing import folder_path
from syncd.flows.context import Dataset
from syncd.ports import AnnotatorDataset, EventSource, ObjectStore, Trigger
from syncd.service.assembly import Assembly
from syncd.service.connect.standing import standing
from syncd.service.cors import examine_cors
from syncd.service.replicas import daemons_of
from syncd.service.triggers import by_lane

INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
MOST_SKEW_S = 30.0
PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: `ok` True, False (must be mended) or None (works, but look at it)."""

    what: str
    ok: bool | None
    detail: str


async def examine(parts: Assembly) -> AsyncIterator[Finding]:
    """All findings, in the order in which the daemon would run into them."""
    daemons = await daemons_of(parts.state, parts.config.state.url)
    yield _state(parts.config, daemons)
    yield _port(parts.config, ours=bool(daemons))
    async for finding in _plugins(parts):
        yield finding
    async for finding in _buckets(parts):
        yield finding
    for name in parts.annotators:
        reached = True
        async for finding in _annotator(parts, name):
            reached = reached and finding.ok is not False
            yield finding
        for dataset in parts.datasets.values():
            if parts.config.datasets[dataset.name].annotator == name:
                yield await _snapshots(parts, dataset.name)
                if reached:
                    async for finding in _dataset(parts, dataset):
                        yield finding


async def _buckets(parts: Assembly) -> AsyncIterator[Finding]:
    """Each can be listed, tells of its objects, and lets browsers see them."""
    stores = {bucket: store for source in parts.sources.values() for bucket, store in source.stores.items()}
    for bucket, store in stores.items():
        yield await _listing(bucket, store)
        if bucket.startswith("file://") and not parts.replica.alone:
            yield Finding(f"folder {bucket}", None, "has to be one that all hosts of this state have mounted there")
        if bucket.startswith("file://"):
            yield _watches(Path(folder_path(bucket)))
    for name in parts.config.buckets:
        yield Finding(f"events of {name}", *await standing(parts.config, name))
    for what, ok, detail in await examine_cors(parts):
        yield Finding(what, ok, detail)


# ---------------------------------------------------------------- this host


def _state(config: Config, daemons: Sequence[str]) -> Finding:
    return Finding("state", True, config.state.url + (f", in use by {', '.join(daemons)}" if daemons else ""))


def _port(config: Config, *, ours: bool) -> Finding:
    """The port is free, or our own daemon holds it."""
    address = (config.receiver.host, config.receiver.port)
    what = "receiver {}:{}".format(*address)
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if ours:
                return Finding(what, True, "held by the running daemon")
            return Finding(what, False, f"{error.strerror}: choose another receiver.port, or end what holds this one")
    return Finding(what, True, "free")


def _watches(root: Path) -> Finding:
    """inotify needs one watch for each folder."""
    folders = sum(1 for _ in os.walk(root))
    if not INOTIFY_LIMIT.exists():
        return Finding(f"folder watches {root}", None, f"{folders} folders; this system tells no limit")
    limit = int(INOTIFY_LIMIT.read_text())
    if folders > limit * 0.8:
        detail = f"{folders} folders, {limit} watches allowed: raise fs.inotify.max_user_watches with sysctl"
        return Finding(f"folder watches {root}", False, detail)
    return Finding(f"folder watches {root}", True, f"{folders} folders, {limit} watches allowed")


async def _plugins(parts: Assembly) -> AsyncIterator[Finding]:
    for name, source in parts.sources.items():
        yield await _source(name, source)
    for lane, trigger in by_lane(parts.announcers).items():
        yield await _trigger(lane, trigger)


async def _source(name: str, source: EventSource) -> Finding:
    try:
        await source.check()
    except SyncdError as error:
        return Finding(f"source {name}", False, str(error))
    return Finding(f"source {name}", True, ", ".join(source.stores))


async def _trigger(lane: str, trigger: Trigger) -> Finding:
    try:
        await trigger.target.check()
    except SyncdError as error:
        return Finding(f"trigger {lane}", False, str(error))
    return Finding(f"trigger {lane}", True, "could fire (nothing was sent)")


async def _listing(bucket: str, store: ObjectStore) -> Finding:
    try:
        async for page in store.list():
            return Finding(f"bucket {bucket}", True, f"can be listed ({len(page)} objects on the first page)")
    except SyncdError as error:
        return Finding(f"bucket {bucket}", False, str(error))
    return Finding(f"bucket {bucket}", True, "can be listed, and is empty")


# ---------------------------------------------------------------- annotators and datasets


async def _annotator(parts: Assembly, name: str) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            info = await parts.ping(name)
    except (TimeoutError, SyncdError) as error:
        yield Finding(f"annotator {name}", False, str(error) or f"no answer within {PATIENCE_S:g} s")
        return
    yield Finding(f"annotator {name}", True, f"{info.url}, version {info.version}, as {info.user}")
    if info.time is not None:
        skew = abs(info.time - time.time())
        detail = f"this host and {name} differ by {skew:.0f} s" + (": set both by NTP" if skew > MOST_SKEW_S else "")
        yield Finding(f"clock of {name}", True if skew <= MOST_SKEW_S else None, detail)


async def _snapshots(parts: Assembly, name: str) -> Finding:
    try:
        found = await parts.snapshots[name].probe()
    except SyncdError as error:
        return Finding(f"dataset {name} snapshots", False, str(error))
    return Finding(f"dataset {name} snapshots", True, f"{parts.config.datasets[name].snapshots.url}; {found}")


async def _dataset(parts: Assembly, dataset: Dataset) -> AsyncIterator[Finding]:
    what = f"dataset {dataset.name}"
    try:
        remote = await dataset.annotator.find_dataset(dataset.spec.title)
    except SyncdError as error:
        yield Finding(what, False, str(error))
        return
    if remote is None:
        yield Finding(what, True, f"not in its annotator yet; `syncd run` makes it as {dataset.spec.title!r}")
        return
    yield Finding(what, True, remote.url)
    async for finding in _opened(parts, dataset, what):
        yield finding


async def _opened(parts: Assembly, dataset: Dataset, what: str) -> AsyncIterator[Finding]:
    try:
        remote = await parts.remote(dataset.name)
    except SyncdError as error:
        yield Finding(f"{what} setup", False, str(error))
        return
    detail = remote.drift or "as configured"
    yield Finding(f"{what} label config", None if remote.drift else True, detail)
    if parts.config.datasets[dataset.name].webhook:
        yield await _webhook(parts, remote, dataset.name, what)


async def _webhook(parts: Assembly, remote: AnnotatorDataset, name: str, what: str) -> Finding:
    """Whether our address leads to us, as far as this host can tell, and whether the annotator accepts it."""
    url = parts.webhook_url(name)
    running = bool(await daemons_of(parts.state, parts.config.state.url))
    if running and not await asyncio.to_thread(_answers, parts.config.receiver.public_url):
        detail = f"{parts.config.receiver.public_url} does not lead to the running daemon: mend receiver.public_url"
        return Finding(f"{what} webhook", False, detail)
    try:
        status = await remote.ensure_webhook(url, await parts.webhook_secret(name))
    except SyncdError as error:
        return Finding(f"{what} webhook", False, str(error))
    if status.registered:
        tried = "" if running else " (not tried: the daemon does not run)"
        return Finding(f"{what} webhook", True, f"the annotator may call {url}{tried}")
    polling = parts.config.reconcile.poll_every
    return Finding(f"{what} webhook", None, f"{status.reason} Until then changes are read every {polling:g} s.")


def _answers(public_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{public_url}/livez", timeout=5) as answer:  # noqa: S310 - http(s), by validation
            return bool(answer.read() == b"alive")
    except OSError:
        return False
