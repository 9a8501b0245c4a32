"""MinIO and SeaweedFS: servers whose notifications are set up on the server itself."""

from syncd.service.connect.plan import Recipe, Text
from syncd.service.connect.quoting import Raw, label, shell, toml, variable
from syncd.service.connect.target import Target

_ALIAS = variable("MINIO", "the alias of the server, as mc alias list shows it")
_TOKEN = "SYNCD_TOKEN:?the token that the source reads"  # noqa: S105 - the name of a variable
QUEUE_DIR = "/var/lib/minio/syncd-events"
LOSSY = (
    "SeaweedFS sends each event once: what is lost while syncd is down, reconcile finds (reconcile.every)",
    "SeaweedFS has one webhook for all: put a receiver of others and this one behind one address, if both are wanted",
)


def minio(target: Target, prefix: str, suffix: str) -> Recipe:
    """A webhook target with a queue on disk, and an event rule of the bucket.

    https://min.io/docs/minio/linux/administration/monitoring/publish-events-to-webhook.html
    """
    id_ = label(target.id)
    narrowed = [(f"--{name}", value) for name, value in (("prefix", prefix), ("suffix", suffix)) if value]
    config = shell(
        ["mc", "admin", "config", "set", _ALIAS, f"notify_webhook:{id_}"],
        [f"endpoint={target.endpoint}"],
        [_set("auth_token", _TOKEN)],
        [f"queue_dir={QUEUE_DIR}"],
        ["queue_limit=100000"],
    )
    restart = shell(["mc", "admin", "service", "restart", _ALIAS])
    rule = shell(
        ["mc", "event", "add", _bucket(target), f"arn:minio:sqs::{id_}:webhook"],
        ("--event", "put,delete,ilm"),
        *narrowed,
    )
    notes = [
        f"queue_dir ({QUEUE_DIR}) must be a directory MinIO may write to, on every server: without it MinIO sends an "
        "event once, and what is lost while syncd is down only reconcile finds",
        f"MinIO asks {target.endpoint} by HEAD whether it is there: `syncd run` should be running",
    ]
    return Recipe([Text("On any host with mc", "sh", "\n".join((config, restart, rule)))], notes)


def minio_removed(target: Target) -> Recipe:
    """The rule and the target."""
    id_ = label(target.id)
    lines = (
        shell(["mc", "event", "remove", _bucket(target), f"arn:minio:sqs::{id_}:webhook"]),
        shell(["mc", "admin", "config", "reset", _ALIAS, f"notify_webhook:{id_}"]),
        shell(["mc", "admin", "service", "restart", _ALIAS]),
    )
    return Recipe([Text("On any host with mc", "sh", "\n".join(lines))])


def seaweedfs(target: Target, prefix: str, suffix: str) -> Recipe:
    """The filer's webhook. The last slash of the path keeps events of `photos2` away from those of `photos`."""
    lines = (
        "[notification.webhook]",
        "enabled = true",
        f"endpoint = {toml(target.endpoint)}",
        "timeout_seconds = 5",
        "max_retries = 5",
        'event_types = ["create", "update", "delete", "rename"]',
        f"path_prefixes = [{toml(f'/buckets/{target.bucket}/{prefix}')}]",
    )
    start = f'export WEED_NOTIFICATION_WEBHOOK_BEARER_TOKEN="${{{_TOKEN}}}"'
    texts = [
        Text(
            "notification.toml, in the filer's working directory, ~/.seaweedfs or /etc/seaweedfs",
            "toml",
            "\n".join(lines),
        ),
        Text("In the filer's environment, before it is started again", "sh", start),
    ]
    notes = [*LOSSY, *([f"a suffix cannot be asked for there: use include = ['*{suffix}']"] if suffix else [])]
    return Recipe(texts, notes)


def seaweedfs_removed(target: Target) -> Recipe:
    """There is one webhook, and it is a person's to switch off."""
    return Recipe(
        [Text("In notification.toml; then start the filer again", "toml", "[notification.webhook]\nenabled = false")]
    )


def _bucket(target: Target) -> str:
    """`"${MINIO:?…}"/bucket` as one word."""
    return Raw(_ALIAS + shell([f"/{target.bucket}"]))


def _set(name: str, variable_: str) -> str:
    return Raw(f'{name}="${{{variable_}}}"')
