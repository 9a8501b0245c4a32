"""Google Cloud Storage: bucket → Pub/Sub topic → subscription, as gcloud commands and as Terraform.

https://cloud.google.com/storage/docs/reporting-changes
https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

from syncd.service.connect.plan import Recipe, Text
from syncd.service.connect.quoting import Raw, hcl, label, shell, variable
from syncd.service.connect.target import Target

EVENTS = ("OBJECT_FINALIZE", "OBJECT_DELETE", "OBJECT_ARCHIVE")
_WHO = variable("SYNCD_ACCOUNT", "e-mail of the service account that syncd runs as")
_AGENT = "$(gcloud storage service-agent --project={})"


def pubsub(target: Target, prefix: str, suffix: str) -> Recipe:
    """A topic that the bucket may publish to, its notification, and a subscription that pulls or pushes."""
    texts = [
        Text("With gcloud", "sh", "\n".join(_commands(target, prefix))),
        Text("Or with Terraform", "hcl", _terraform(target, prefix)),
    ]
    notes = ["one bucket holds at most 10 notifications for one kind of event", *_suffix(suffix)]
    if _pushes(target):
        notes.append(f"Google must reach {target.endpoint} over HTTPS, with a certificate that is publicly trusted")
    return Recipe(texts, notes)


def pubsub_removed(target: Target) -> Recipe:
    """The notification by its topic, then subscription and topic."""
    topic = _topic(target)
    notified = f"gcloud storage buckets notifications list {shell([target.url])} --format='value(name)' --filter="
    chosen = shell([f"Notification Configuration.topic~{target.id}$"])
    lines = (
        f'for name in $({notified}{chosen}); do gcloud storage buckets notifications delete "$name"; done',
        shell(["gcloud", "pubsub", "subscriptions", "delete", _subscription(target)], *_project(target)),
        shell(["gcloud", "pubsub", "topics", "delete", topic], *_project(target)),
    )
    return Recipe([Text("With gcloud", "sh", "\n".join(lines))])


def eventarc(target: Target, prefix: str, suffix: str) -> Recipe:
    """One trigger for each kind of event: Eventarc takes one a trigger."""
    lines = [
        shell(
            ["gcloud", "eventarc", "triggers", "create", f"{target.id}-{kind}"],
            ("--location", _location()),
            (f"--destination-http-endpoint-uri={target.endpoint}",),
            ("--network-attachment", variable("NETWORK_ATTACHMENT", "of the VPC in which syncd is")),
            (f"--event-filters=type=google.cloud.storage.object.v1.{kind}",),
            (f"--event-filters=bucket={target.bucket}",),
            (f"--service-account={target.option('service_account')}",),
            *_project(target),
        )
        for kind in ("finalized", "deleted")
    ]
    notes = [
        "Eventarc reaches HTTP endpoints inside a VPC only; from outside use a source of type pubsub-push",
        *(["a prefix cannot be asked for there: use include"] if prefix else []),
        *_suffix(suffix),
    ]
    return Recipe([Text("With gcloud", "sh", "\n".join(lines))], notes)


def eventarc_removed(target: Target) -> Recipe:
    """Both triggers."""
    kinds = ("finalized", "deleted")
    head = ["gcloud", "eventarc", "triggers", "delete"]
    lines = [shell([*head, f"{target.id}-{kind}"], ("--location", _location()), *_project(target)) for kind in kinds]
    return Recipe([Text("With gcloud", "sh", "\n".join(lines))])


def rights(target: Target) -> Recipe:
    """To look at objects, and to pull; nothing to write, but for probes."""
    lines = [_grant(target)]
    if target.plugin.type == "pubsub":
        lines.append(_subscriber(target))
    notes = [
        "`syncd bucket check` also needs to put and delete .syncd-probe-*: roles/storage.objectUser instead",
        "signed links also need roles/iam.serviceAccountTokenCreator of the account on itself",
    ]
    return Recipe([Text("The least rights syncd needs", "sh", "\n".join(lines))], notes)


def _commands(target: Target, prefix: str) -> list[str]:
    topic, project = _topic(target), _project(target)
    of_prefix = [(f"--object-prefix={prefix}",)] if prefix else []
    agent = _AGENT.format(_project_word(target))
    return [
        shell(["gcloud", "pubsub", "topics", "create", topic], *project),
        shell(
            ["gcloud", "pubsub", "topics", "add-iam-policy-binding", topic],
            (Raw(f'--member="serviceAccount:{agent}"'),),
            ("--role=roles/pubsub.publisher",),
            *project,
        ),
        shell(
            ["gcloud", "storage", "buckets", "notifications", "create", target.url],
            (Raw(f'--topic="projects/{_bare(target)}/topics/"{shell([topic])}'),),
            ("--payload-format=json",),
            (f"--event-types={','.join(EVENTS)}",),
            *of_prefix,
        ),
        *(_push(target) if _pushes(target) else _pull(target)),
        _grant(target),
    ]


def _pull(target: Target) -> list[str]:
    made = shell(
        ["gcloud", "pubsub", "subscriptions", "create", _subscription(target)],
        (f"--topic={_topic(target)}",),
        (f"--ack-deadline={target.option('ack_deadline') or 60}",),
        ("--message-retention-duration=7d",),
        ("--expiration-period=never",),
        *_project(target),
    )
    return [made, _subscriber(target)]


def _push(target: Target) -> list[str]:
    """Pub/Sub's own agent has to be allowed to make tokens of the account that is shown to us."""
    account = str(target.option("service_account"))
    number = f"$(gcloud projects describe {_project_word(target)} --format='value(projectNumber)')"
    agent = f"serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    return [
        shell(["gcloud", "iam", "service-accounts", "create", account.partition("@")[0]], *_project(target)),
        shell(
            ["gcloud", "iam", "service-accounts", "add-iam-policy-binding", account],
            (Raw(f'--member="{agent}"'),),
            ("--role=roles/iam.serviceAccountTokenCreator",),
        ),
        shell(
            ["gcloud", "pubsub", "subscriptions", "create", _subscription(target)],
            (f"--topic={_topic(target)}",),
            (f"--push-endpoint={target.endpoint}",),
            (f"--push-auth-service-account={account}",),
            (f"--push-auth-token-audience={target.option('audience')}",),
            ("--ack-deadline=60",),
            ("--message-retention-duration=7d",),
            ("--expiration-period=never",),
            *_project(target),
        ),
    ]


def _terraform(target: Target, prefix: str) -> str:
    id_ = label(target.id)
    project = f"\n  project = {hcl(found)}" if (found := _told_project(target)) else ""
    of_prefix = f"\n  object_name_prefix = {hcl(prefix)}" if prefix else ""
    return f"""
data "google_storage_project_service_account" "{id_}" {{{project}
}}

resource "google_pubsub_topic" "{id_}" {{
  name = {hcl(_topic(target))}{project}
}}

resource "google_pubsub_topic_iam_member" "{id_}" {{
  topic  = google_pubsub_topic.{id_}.id
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:${{data.google_storage_project_service_account.{id_}.email_address}}"
}}

resource "google_storage_notification" "{id_}" {{
  bucket         = {hcl(target.bucket)}
  topic          = google_pubsub_topic.{id_}.id
  payload_format = "JSON_API_V1"
  event_types    = [{", ".join(map(hcl, EVENTS))}]{of_prefix}
  depends_on     = [google_pubsub_topic_iam_member.{id_}]
}}

resource "google_pubsub_subscription" "{id_}" {{
  name                       = {hcl(_subscription(target))}
  topic                      = google_pubsub_topic.{id_}.id
  ack_deadline_seconds       = {target.option("ack_deadline") or 60}
  message_retention_duration = "604800s"{project}
  expiration_policy {{
    ttl = ""
  }}{_push_block(target)}
}}
""".strip()


def _push_block(target: Target) -> str:
    if not _pushes(target):
        return ""
    return f"""
  push_config {{
    push_endpoint = {hcl(target.endpoint)}
    oidc_token {{
      service_account_email = {hcl(str(target.option("service_account")))}
      audience              = {hcl(str(target.option("audience")))}
    }}
  }}"""


def _grant(target: Target) -> str:
    return shell(
        ["gcloud", "storage", "buckets", "add-iam-policy-binding", target.url],
        (Raw(f"--member=serviceAccount:{_WHO}"),),
        ("--role=roles/storage.objectViewer",),
    )


def _subscriber(target: Target) -> str:
    return shell(
        ["gcloud", "pubsub", "subscriptions", "add-iam-policy-binding", _subscription(target)],
        (Raw(f"--member=serviceAccount:{_WHO}"),),
        ("--role=roles/pubsub.subscriber",),
        *_project(target),
    )


def _pushes(target: Target) -> bool:
    return target.plugin.type == "pubsub-push"


def _topic(target: Target) -> str:
    return target.id


def _subscription(target: Target) -> str:
    """As the source names it, projects/P/subscriptions/NAME; one that pushes has our name."""
    return str(target.option("subscription") or target.id).rpartition("/")[2]


def _told_project(target: Target) -> str:
    """Of the subscription, or of the service account."""
    if subscription := target.option("subscription"):
        return str(subscription).split("/")[1]
    host = str(target.option("service_account") or "").partition("@")[2]
    return host.removesuffix(".iam.gserviceaccount.com") if host.endswith(".iam.gserviceaccount.com") else ""


def _project_word(target: Target) -> str:
    told = _told_project(target)
    return shell([told]) if told else str(variable("PROJECT", "the Google Cloud project"))


def _bare(target: Target) -> str:
    """The same inside double quotes; a project has no character that needs any."""
    return _told_project(target) or "${PROJECT:?the Google Cloud project}"


def _project(target: Target) -> list[tuple[str, ...]]:
    return [(Raw(f"--project={_project_word(target)}"),)]


def _location() -> str:
    return variable("LOCATION", "of the bucket, in lower case")


def _suffix(suffix: str) -> list[str]:
    return [f"a suffix cannot be asked for there: use include = ['*{suffix}']"] if suffix else []
