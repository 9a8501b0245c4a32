"""Blob Storage's events as Event Grid sends them, in its own schema or as CloudEvents, one or a list.

Called by the Event Grid webhook and the Storage Queue source, and by `cloudevents`. The blob's name is taken from
`data.url`, percent-encoded, decoded once. With a hierarchical namespace (ADLS Gen2) a file is complete with its flush,
so the event of its creation is passed over; a directory that was renamed or deleted names none of the files that went
with it, so a rescan is asked for. Handshakes are their caller's.
Source: learn.microsoft.com/azure/event-grid/event-schema-blob-storage.
"""

from typing import Any

from syncd.domain import sequencers
from syncd.domain.decoding import decoded
from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications import fields as f

PREFIX = "Microsoft.Storage."

_UNFINISHED = frozenset({"CreateFile", "SftpCreate"})
_COPIED = "CopyBlob"
_WITH_ALL_BELOW = frozenset({"DirectoryRenamed", "DirectoryDeleted"})
_NO_CONTENT = frozenset({
    "AsyncOperationInitiated", "BlobInventoryPolicyCompleted", "BlobTierChanged", "DirectoryCreated",
    "LifecyclePolicyCompleted",
})  # fmt: skip


def parse_event_grid(body: bytes, now: float, *, account: str | None = None) -> Notices:
    """What a body speaks of. `account`: the storage account whose events count; None: any.

    Rejected: it holds no events.
    """
    message = decoded(body, "Event Grid")
    events = message if isinstance(message, list) else [message]
    if events and not any(isinstance(event, dict) and _type(event) for event in events):
        raise Rejected("the body holds no events with eventType or type; let Event Grid send here")
    return f.sorted_out(events, lambda event: read_event(event, now, account))


def _type(event: dict[str, Any]) -> str:
    kind = event.get("eventType", event.get("type"))
    return kind if isinstance(kind, str) else ""


def read_event(event: dict[str, Any], now: float, account: str | None = None) -> f.Saw:
    """What one event says, in either schema."""
    kind = _type(f.members(event))
    if not kind:
        raise f.Bad("malformed", "the event has neither eventType nor type; let Event Grid send here")
    if not kind.startswith(PREFIX):
        raise f.Ignored("other_source")
    if account is not None and _account(event) not in {"", account.lower()}:
        raise f.Ignored("other_account")
    f.known_version(event.get("specversion") or event.get("metadataVersion"), "1")
    data = f.members(event, "data")
    match kind.removeprefix(PREFIX):
        case "BlobCreated":
            return [(_ref(event, data.get("url")), _created(data, now))]
        case "BlobDeleted":
            return [(_ref(event, data.get("url")), _deleted(data, now))]
        case "BlobRenamed":
            return [(_ref(event, data.get(name)), f.look(now)) for name in ("sourceUrl", "destinationUrl")]
        case name if name in _WITH_ALL_BELOW:
            raise f.Unnamed(name)
        case name:
            raise f.Ignored(name if name in _NO_CONTENT else "other")


def _created(data: dict[str, Any], now: float) -> Observation:
    api = f.token_of(data.get("api"))
    if api in _UNFINISHED:
        raise f.Ignored("unfinished")
    size = f.size_of(data.get("contentLength"))
    if api == _COPIED:  # with a hierarchical namespace it is only begun
        return f.look(now)
    return f.created(now, _sequencer(data), etag=f.etag_of(data.get("eTag")), size=size)


def _deleted(data: dict[str, Any], now: float) -> Observation:
    of_one_version = "?" in str(data.get("url"))  # a snapshot's or an old version's: the blob may live on
    return f.look(now) if of_one_version else f.gone(now, _sequencer(data))


def _sequencer(data: dict[str, Any]) -> str | None:
    return sequencers.hexadecimal("azure", data.get("sequencer"))


# ---------------------------------------------------------------- names


def _ref(event: dict[str, Any], url: object) -> ObjectRef:
    """The blob a URL names: `https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME`.

    The subject tells the container too, by which the two other forms are known: `HOST/ACCOUNT/CONTAINER/NAME` (Azurite)
    and, of the root container, `HOST/NAME`.
    """
    _, slashes, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
    path = rest.partition("?")[0].partition("/")[2]  # a ? or # of a name's own is encoded
    if not slashes or not path:
        raise f.Bad("malformed", "data holds no URL of a blob; let Blob Storage's own events come here")
    container = _container(event)
    first, _, below = path.partition("/")
    if container == "$root" != first:
        return f.object_ref("az", container, f.unquoted(path, plus=False))
    if first != container and below.startswith(f"{container}/"):
        first, _, below = below.partition("/")
    return f.object_ref("az", first, f.unquoted(below, plus=False))


def _container(event: dict[str, Any]) -> str:
    """As the subject has it: `/blobServices/default/containers/NAME/blobs/…`; empty: nowhere."""
    return str(event.get("subject")).partition("/containers/")[2].partition("/")[0]


def _account(event: dict[str, Any]) -> str:
    """The storage account, of which the resource's name (topic or source) tells; empty: it does not."""
    return str(event.get("topic", event.get("source"))).lower().partition("/storageaccounts/")[2].partition("/")[0]
