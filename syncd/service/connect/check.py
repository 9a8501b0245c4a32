"""`syncd bucket check`: puts a probe object, waits until its event has gone all the way to the state, and times it.

With the daemon running, its own source hears of the probe, and what it noted is read; without it the source runs
here, as the one process on this state. Nothing becomes of a probe (`domain.routing.is_probe`), and it is removed.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from syncd.config import Config
from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.routing import PROBE
from syncd.ports import EventSource, ObjectStore, PushSource
from syncd.service.assembly import Assembly
from syncd.service.probes import heard

LOOK_EVERY_S = 0.02
START_S = 30.0
"""How long a source of our own may take until it listens."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A bucket to probe: its store, and the source that must hear of it."""

    name: str
    store: ObjectStore
    source: EventSource


def checked(parts: Assembly, name: str) -> Checked:
    """The bucket `[buckets.NAME]`, or the only one of `[sources.NAME]`. ConfigError: neither, or nobody hears of it."""
    if name in parts.config.buckets:
        wanted = parts.config.buckets[name].url
        for source in parts.sources.values():
            if wanted in source.stores:
                return Checked(name, source.stores[wanted], source)
        raise ConfigError([Problem(f"buckets.{name}", "", f'a source that names it: buckets = ["{name}"]')])
    if name in parts.sources and len(parts.sources[name].stores) == 1:
        return Checked(name, next(iter(parts.sources[name].stores.values())), parts.sources[name])
    known = ", ".join(sorted({*parts.config.buckets, *parts.sources})) or "none"
    raise ConfigError([Problem("bucket", repr(name), f"must be one of [buckets.*] or [sources.*]: {known}")])


async def probe(parts: Assembly, bucket: Checked, *, prefix: str, timeout: float) -> float | None:
    """Put one probe, and remove it; seconds from before the PUT to the note of its event. None: none came in time.

    Rejected: the bucket may not be written to, so it cannot be probed.
    """
    key = f"{prefix}{PROBE}{secrets.token_hex(8)}"
    before = parts.clock.now()
    try:
        await bucket.store.write(key, b"syncd bucket check\n")
    except Rejected as error:
        raise Rejected(f"no probe can be put into {bucket.store.bucket}: {error}") from None
    try:
        async with asyncio.timeout(timeout):
            while key not in (found := await heard(parts.state, bucket.store.bucket)):
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        return None
    finally:
        await bucket.store.remove(key)
    return max(0.0, _time(found, key) - before)


@asynccontextmanager
async def listening(parts: Assembly, bucket: Checked) -> AsyncIterator[None]:
    """Run the source here until the context ends. Raises what its `check` and its `run` raise."""
    if isinstance(bucket.source, PushSource):
        allowed = "the daemon running: this source is pushed to. Start `syncd run`, then check again"
        raise ConfigError([Problem(f"sources.{bucket.source.name}", "no daemon on this state", allowed)])
    await bucket.source.check()
    listens = asyncio.Event()
    running = asyncio.create_task(bucket.source.run(parts.deliver, listens.set))
    waiting = asyncio.create_task(listens.wait())
    try:
        await asyncio.wait({running, waiting}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield
    finally:
        running.cancel()
        waiting.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)


def where_to_look(config: Config, bucket: Checked) -> list[str]:
    """What keeps an event away, most likely first, by the type of the source."""
    type_ = config.sources[bucket.source.name].type
    address = f"{config.receiver.public_url}/events/{bucket.source.name}"
    return [*_LOOK.get(type_, ()), *((f"does {address} lead here from the sender?",) if _is_pushed(bucket) else ())]


def _is_pushed(bucket: Checked) -> bool:
    return isinstance(bucket.source, PushSource)


def _time(found: Mapping[str, float], key: str) -> float:
    return float(found[key])


_LOOK: dict[str, tuple[str, ...]] = {
    "folder": ("is the folder on a network file system? set polling = true",),
    "sqs": (
        "`syncd bucket connect NAME` shows whether notification, right to send and queue stand",
        "does another process read the same queue?",
        "a filter of the notification (--prefix) may leave the probe out: give check the same --prefix",
    ),
    "sns": ("is the subscription confirmed? its ARN says PendingConfirmation until then",),
    "eventbridge": ("is EventBridge switched on for the bucket, and does the rule's metric FailedInvocations grow?",),
    "ceph": ("radosgw-admin topic get, and the log of the gateway; the first event of a new topic takes up to 25 s",),
    "minio": ("mc event list ALIAS/BUCKET, and the log of MinIO: it says why a webhook could not be reached",),
    "seaweedfs": ("path_prefixes and bearer_token of notification.toml, and the log of the filer",),
    "pubsub": ("gcloud storage buckets notifications list, and the subscription's metric of unacked messages",),
    "pubsub-push": ("the push metrics by response code of the subscription: 401 is audience or account",),
    "eventarc": ("gcloud eventarc triggers list: a trigger takes minutes until it is active",),
    "storage-queue": ("the subscription's metrics of delivered and dropped events",),
    "event-grid": ("the subscription's metrics of delivered and dropped events; 401 is the token",),
}
