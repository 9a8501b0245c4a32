"""Whether a bucket's events can reach us, as far as can be seen without changing or probing anything.

Called by `service.doctor`.
"""

from syncd.config import Config
from syncd.domain.errors import Rejected, SyncdError
from syncd.service.connect.plan import Plan
from syncd.service.connect.target import Target, target_of
from syncd.service.connect.ways import Wishes, connection

_SENT_ONCE = {"seaweedfs", "minio", "ceph"}


async def standing(config: Config, name: str) -> tuple[bool | None, str]:
    """True: all stands; None: something to look at, and what to do. One line."""
    try:
        target = target_of(config, name)
    except SyncdError as error:
        return None, str(error)
    try:
        # the prefix somebody chose is not known here, so a notification that is narrowed counts as standing
        async with connection(target, Wishes()) as found:
            return _told(config, target, found) if isinstance(found, Plan) else _pushed(config, target)
    except Rejected as error:
        return None, str(error)
    except SyncdError:
        return True, f"notifications cannot be looked at with these credentials; `syncd bucket check {name}` times one"


def _told(config: Config, target: Target, plan: Plan) -> tuple[bool | None, str]:
    missing = [change.what for change in plan.changes if change.sign == "+"]
    if missing:
        return None, f"missing: {'; '.join(missing)}. `syncd bucket connect {target.name}` makes it"
    return True, f"set up; `syncd bucket check {target.name}` times one"


def _pushed(config: Config, target: Target) -> tuple[bool | None, str]:
    lossy = f", each sent once: reconcile finds what is lost, every {config.reconcile.every:g} s"
    sent = f"pushed to {target.endpoint}" if target.plugin.type not in {"pubsub", "storage-queue"} else "pulled"
    how = lossy if target.plugin.type in _SENT_ONCE else ""
    return True, f"{sent}{how}; `syncd bucket check {target.name}` times one"
