"""The webhook of a project: found again, repaired, its doubles removed.

Used by `dataset`. Label Studio does not hold webhooks unique, and calls each one: a double is a double delivery.
"""

from functools import partial
from typing import Any

import structlog

from syncd.annotators.label_studio.client import Client
from syncd.annotators.label_studio.errors import Forbidden, Refused, ServerFault
from syncd.ports import WebhookStatus

log = structlog.get_logger()

SECRET_HEADER = "X-Syncd-Secret"  # noqa: S105 - a name
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED")


async def ensure(client: Client, project: int, url: str, secret: str) -> WebhookStatus:
    """Have exactly one webhook of this URL, with our actions and secret. Idempotent.

    `registered` is False, with a reason for a person, where the server's rules forbid the URL.
    """
    api = client.sdk.webhooks
    hooks = await client.read("listing webhooks", lambda: api.list(project=str(project)))
    mine = sorted((hook for hook in hooks if hook.url == url), key=lambda hook: hook.id)
    for double in mine[1:]:
        await client.write("removing a double webhook", partial(api.delete, double.id))
    if mine and _is_right(mine[0], secret):
        return WebhookStatus(True)
    wanted = _wanted(url, secret)
    try:
        if mine:
            await client.write("repairing the webhook", lambda: api.update(mine[0].id, **wanted))
        else:
            await client.write("registering the webhook", lambda: api.create(project=project, **wanted))
    except (Refused, Forbidden, ServerFault) as error:
        return _refusal(error, url)
    log.info("webhook.registered", project=project, url=url, repaired=bool(mine))
    return WebhookStatus(True)


def _wanted(url: str, secret: str) -> dict[str, Any]:
    return {
        "url": url,
        "headers": {SECRET_HEADER: secret},
        "actions": list(ACTIONS),
        "send_payload": True,
        "send_for_all_actions": False,
        "is_active": True,
    }


def _is_right(hook: Any, secret: str) -> bool:
    wanted = _wanted(hook.url, secret)
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
