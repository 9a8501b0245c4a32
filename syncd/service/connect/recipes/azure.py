"""Azure Blob Storage: Event Grid system topic → subscription → storage queue or webhook, as az commands and Terraform.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
https://learn.microsoft.com/cli/azure/eventgrid/system-topic/event-subscription
"""

from urllib.parse import urlsplit

from syncd.service.connect.plan import Recipe, Text
from syncd.service.connect.quoting import Raw, hcl, label, shell, variable
from syncd.service.connect.target import Target

EVENTS = ("Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted", "Microsoft.Storage.BlobRenamed")
_GROUP = variable("RESOURCE_GROUP", "the resource group of the storage account")
_SHOWN = "${SYNCD_TOKEN:?the token that the source reads}"


def event_grid(target: Target, prefix: str, suffix: str) -> Recipe:
    """A system topic of the storage account, and a subscription to this container's blobs."""
    texts = [
        Text("With az", "sh", "\n".join(_commands(target, prefix, suffix))),
        Text("Or with Terraform", "hcl", _terraform(target, prefix, suffix)),
    ]
    notes = ["a storage account has one system topic: where there is one, leave that line out and name it instead"]
    if target.plugin.type == "event-grid":
        notes.append(f"Event Grid asks {target.endpoint} first whether it wants events: `syncd run` must be running")
    return Recipe(texts, notes)


def removed(target: Target) -> Recipe:
    """The subscription; the topic may have others, and the queue what nobody read yet."""
    head = ["az", "eventgrid", "system-topic", "event-subscription", "delete", "--yes"]
    line = shell(head, ("--name", target.id), ("--system-topic-name", _topic(target)), ("--resource-group", _GROUP))
    return Recipe([Text("With az", "sh", line)], ["system topic and queue stay: others may use them"])


def rights(target: Target) -> Recipe:
    """To look at blobs, and to take messages; nothing to write, but for probes."""
    scope = _below_account(f"/blobServices/default/containers/{target.bucket}")
    lines = [_account_id(target), _assign("Storage Blob Data Reader", scope)]
    if target.plugin.type == "storage-queue":
        queue = _below_account(f"/queueServices/default/queues/{target.option('queue')}")
        lines.append(_assign("Storage Queue Data Message Processor", queue))
    notes = [
        "`syncd bucket check` also needs to put and delete .syncd-probe-*: Storage Blob Data Contributor instead",
        "signed links also need Storage Blob Delegator on the account",
    ]
    return Recipe([Text("The least rights syncd needs", "sh", "\n".join(lines))], notes)


def _commands(target: Target, prefix: str, suffix: str) -> list[str]:
    topic = shell(
        ["az", "eventgrid", "system-topic", "create"],
        ("--name", _topic(target)),
        ("--resource-group", _GROUP),
        ("--location", variable("LOCATION", "of the storage account")),
        ("--topic-type", "Microsoft.Storage.StorageAccounts"),
        ("--source", _below_account("")),
    )
    subscription = shell(
        ["az", "eventgrid", "system-topic", "event-subscription", "create"],
        ("--name", target.id),
        ("--system-topic-name", _topic(target)),
        ("--resource-group", _GROUP),
        ("--included-event-types", *EVENTS),
        ("--subject-begins-with", _subject(target, prefix)),
        *([("--subject-ends-with", suffix)] if suffix else []),
        ("--subject-case-sensitive", "true"),
        *_destination(target),
    )
    queue = [_queue(target)] if target.plugin.type == "storage-queue" else []
    return [_account_id(target), *queue, topic, subscription]


def _destination(target: Target) -> list[tuple[str, ...]]:
    if target.plugin.type == "storage-queue":
        endpoint = _below_account(f"/queueservices/default/queues/{target.option('queue')}")
        return [("--endpoint-type", "storagequeue"), ("--endpoint", endpoint)]
    place, name = _token_in(target)
    if place == "header":
        shown = ("--delivery-attribute-mapping", name, "static", Raw(f'"{_SHOWN}"'), "true")
        return [("--endpoint-type", "webhook"), ("--endpoint", target.endpoint), shown]
    endpoint = Raw(f'{shell([f"{target.endpoint}?{name}="])}"{_SHOWN}"')
    return [("--endpoint-type", "webhook"), ("--endpoint", endpoint)]


def _queue(target: Target) -> str:
    return shell(
        ["az", "storage", "queue", "create", "--auth-mode", "login"],
        ("--name", str(target.option("queue"))),
        ("--account-name", _account(target)),
    )


def _account_id(target: Target) -> str:
    head = ["az", "storage", "account", "show", "--query", "id", "--output", "tsv"]
    return f'ACCOUNT_ID="$({shell([*head, "--name", _account(target), "--resource-group", _GROUP])})"'


def _assign(role: str, scope: str) -> str:
    return shell(
        ["az", "role", "assignment", "create"],
        ("--assignee", variable("SYNCD_IDENTITY", "the identity that syncd runs as")),
        ("--role", role),
        ("--scope", scope),
    )


def _terraform(target: Target, prefix: str, suffix: str) -> str:
    id_ = label(target.id)
    ends = f"\n    subject_ends_with   = {hcl(suffix)}" if suffix else ""
    account = hcl(told) if (told := _told_account(target)) else "var.storage_account"
    return f"""
{_terraform_variables(target)}
data "azurerm_storage_account" "{id_}" {{
  name                = {account}
  resource_group_name = var.resource_group
}}
{_terraform_queue(target, id_)}
resource "azurerm_eventgrid_system_topic" "{id_}" {{
  name                = {hcl(_topic(target))}
  resource_group_name = var.resource_group
  location            = data.azurerm_storage_account.{id_}.location
  source_resource_id  = data.azurerm_storage_account.{id_}.id
  topic_type          = "Microsoft.Storage.StorageAccounts"
}}

resource "azurerm_eventgrid_system_topic_event_subscription" "{id_}" {{
  name                 = {hcl(target.id)}
  system_topic         = azurerm_eventgrid_system_topic.{id_}.name
  resource_group_name  = var.resource_group
  included_event_types = [{", ".join(map(hcl, EVENTS))}]
  subject_filter {{
    subject_begins_with = {hcl(_subject(target, prefix))}{ends}
    case_sensitive      = true
  }}
{_terraform_destination(target, id_)}
}}
""".strip()


def _terraform_queue(target: Target, id_: str) -> str:
    if target.plugin.type != "storage-queue":
        return ""
    return f"""
resource "azurerm_storage_queue" "{id_}" {{
  name                 = {hcl(str(target.option("queue")))}
  storage_account_name = data.azurerm_storage_account.{id_}.name
}}
"""


def _terraform_destination(target: Target, id_: str) -> str:
    if target.plugin.type == "storage-queue":
        return f"""  storage_queue_endpoint {{
    storage_account_id = data.azurerm_storage_account.{id_}.id
    queue_name         = azurerm_storage_queue.{id_}.name
  }}"""
    place, name = _token_in(target)
    if place == "header":
        return f"""  webhook_endpoint {{
    url = {hcl(target.endpoint)}
  }}
  delivery_property {{
    header_name = {hcl(name)}
    type        = "Static"
    value       = var.syncd_token
    secret      = true
  }}"""
    return f"""  webhook_endpoint {{
    url = "{hcl(f"{target.endpoint}?{name}=")[1:-1]}${{var.syncd_token}}"
  }}"""


def _terraform_variables(target: Target) -> str:
    names = ["resource_group", *([] if _told_account(target) else ["storage_account"])]
    declared = [f'variable "{name}" {{\n  type = string\n}}\n' for name in names]
    if target.plugin.type == "event-grid":
        declared.append('variable "syncd_token" {\n  type      = string\n  sensitive = true\n}\n')
    return "\n".join(declared)


def _token_in(target: Target) -> tuple[str, str]:
    """`query` or `header`, and the name there."""
    place, _, name = str(target.option("token_in")).partition(":")
    return place, name


def _subject(target: Target, prefix: str) -> str:
    """Up to `/blobs/`, so that events of `photos2` stay away from those of `photos`."""
    return f"/blobServices/default/containers/{target.bucket}/blobs/{prefix}"


def _topic(target: Target) -> str:
    return f"{target.id}-topic"


def _account(target: Target) -> str:
    return _told_account(target) or variable("ACCOUNT", "the storage account")


def _told_account(target: Target) -> str:
    """As the source says, or its queue's URL, or the bucket's storage options."""
    if told := target.option("account"):
        return str(told)
    if url := target.option("account_url"):
        return (urlsplit(str(url)).hostname or "").partition(".")[0]
    return target.told("storage_account_name") or target.told("account_name") or ""


def _below_account(path: str) -> str:
    """One word: the account's resource id, which the shell fills in, and a path below it, which it does not."""
    return Raw(f'"$ACCOUNT_ID"{shell([path]) if path else ""}')
