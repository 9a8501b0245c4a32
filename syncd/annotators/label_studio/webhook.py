"""The webhook of a project: found again, repaired, its doubles removed.

Used by `dataset`. Label Studio does not hold webhooks unique, and calls each one: a double is a double delivery, and
one left behind at a former address of ours is waited for in vain.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Forbidden, Refused, ServerFault
from syncd.ports import WEBHOOK_SECRET_HEADER, WebhookStatus

log = structlog.get_logger()

ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED")


async def ensure(client: Client, project: int, url: str, secret: str) -> WebhookStatus:
    """Have exactly one webhook of ours, at this URL, with our actions and secret. Idempotent.

    `registered` is False, with a reason for a person, where the server's rules forbid the URL.
    """
    api = client.sdk.webhooks
    ours = sorted(await _ours(client, project, urlsplit(url).path), key=lambda hook: (hook.url != url, hook.id))
    await _remove(client, project, ours[1:])
    if ours and _is_right(ours[0], url, secret):
        return WebhookStatus(True)
    wanted = _wanted(url, secret)
    try:
        if ours:
            await client.write("repairing the webhook", lambda: api.update(ours[0].id, **wanted))
            log.info("webhook.repaired", project=project, url=url, url_before=ours[0].url)
        else:
            await client.write("registering the webhook", lambda: api.create(project=project, **wanted))
    except (Refused, Forbidden, ServerFault) as error:
        return _refusal(error, url)
    return WebhookStatus(True)


async def remove(client: Client, project: int, path: str) -> None:
    """Remove every webhook of ours. Idempotent."""
    await _remove(client, project, await _ours(client, project, path))


async def _ours(client: Client, project: int, path: str) -> list[Any]:
    """The hooks that carry our header and end in our path: whatever host, port or prefix we had when we made them."""
    hooks = await client.read("listing webhooks", lambda: client.sdk.webhooks.list(project=str(project)))
    return [
        hook
        for hook in hooks
        if WEBHOOK_SECRET_HEADER in (hook.headers or {}) and urlsplit(hook.url).path.endswith(path)
    ]


async def _remove(client: Client, project: int, hooks: Sequence[Any]) -> None:
    for hook in hooks:
        try:
            await client.write("removing a webhook", partial(client.sdk.webhooks.delete, hook.id))
        except Refused as error:
            if error.status != 404:  # somebody was faster
                raise
        log.info("webhook.removed", project=project, url=hook.url)


def _wanted(url: str, secret: str) -> dict[str, Any]:
    return {
        "url": url,
        "headers": {WEBHOOK_SECRET_HEADER: secret},
        "actions": list(ACTIONS),
        "send_payload": True,
        "send_for_all_actions": False,
        "is_active": True,
    }


def _is_right(hook: Any, url: str, secret: str) -> bool:
    wanted = _wanted(url, secret)
    found = {name: getattr(hook, name) for name in wanted}
    return {**found, "actions": sorted(found["actions"] or ())} == {**wanted, "actions": sorted(ACTIONS)}


def _refusal(error: Refused | Forbidden | ServerFault, url: str) -> WebhookStatus:
    """The refusals that concern the URL, in plain words; any other is raised again."""
    if "reserved network address" in error.detail:
        return WebhookStatus(
            False,
            f"Label Studio's SSRF protection forbids webhooks to {url}, a private or loopback address; use a public "
            "address, or set LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false on the server",
        )
    if isinstance(error, Refused) and error.reasons("url"):
        return WebhookStatus(
            False,
            f"Label Studio takes {url} for no valid URL; its host has to be an IP address, `localhost` or a name "
            "with a dot in it and no underscore (a bare container name is refused)",
        )
    if "resolve hostname" in error.detail:
        return WebhookStatus(
            False, f"Label Studio cannot resolve the host of {url}; use a name or address that it can reach"
        )
    raise error
