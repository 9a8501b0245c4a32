"""What a person runs where syncd cannot, or must not, set a bucket up by itself. Texts only: nothing is reached.

No secret is in any text: where one is needed stands a variable that the person sets.
"""

from collections.abc import Callable

from syncd.domain.errors import ConfigError, Problem
from syncd.service.connect.plan import Recipe
from syncd.service.connect.recipes import azure, eventbridge, gcp, uploaders, webhooks
from syncd.service.connect.target import Target

_CONNECTIONS: dict[str, Callable[[Target, str, str], Recipe]] = {
    "minio": webhooks.minio,
    "seaweedfs": webhooks.seaweedfs,
    "pubsub": gcp.pubsub,
    "pubsub-push": gcp.pubsub,
    "eventarc": gcp.eventarc,
    "storage-queue": azure.event_grid,
    "event-grid": azure.event_grid,
    "eventbridge": eventbridge.api_destination,
    "http": uploaders.http,
    "cloudevents": uploaders.cloudevents,
}
_REMOVALS: dict[str, Callable[[Target], Recipe]] = {
    "minio": webhooks.minio_removed,
    "seaweedfs": webhooks.seaweedfs_removed,
    "pubsub": gcp.pubsub_removed,
    "pubsub-push": gcp.pubsub_removed,
    "eventarc": gcp.eventarc_removed,
    "storage-queue": azure.removed,
    "event-grid": azure.removed,
    "eventbridge": eventbridge.removed,
}


def connection(target: Target, prefix: str = "", suffix: str = "") -> Recipe:
    """What connects the bucket. ConfigError: nothing is known of sources of this type."""
    if target.plugin.type not in _CONNECTIONS:
        allowed = f"a source of a type that can be set up: sqs, sns, ceph, {', '.join(sorted(_CONNECTIONS))}"
        raise ConfigError([Problem(f"{target.field}.type", target.plugin.type, allowed)])
    return _CONNECTIONS[target.plugin.type](target, prefix, suffix)


def disconnection(target: Target) -> Recipe:
    """What takes it back."""
    if target.plugin.type not in _REMOVALS:
        return Recipe([], [f"syncd set nothing up for sources of type {target.plugin.type}: end what sends to it"])
    return _REMOVALS[target.plugin.type](target)


def rights(target: Target) -> Recipe:
    """The least rights syncd needs in Google's or Microsoft's cloud."""
    return gcp.rights(target) if target.url.startswith("gs://") else azure.rights(target)
