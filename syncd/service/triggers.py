"""Builds what announces versions and delivers events: triggers with their targets, from the configuration.

Used by `assembly`. The rule of delivery stands here: retried with growing waits for a day, then a dead letter, also
when the receiver never answered: an event is stale by then, and `syncd deliveries redeliver` sends it again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from syncd.config import Config
from syncd.config import Dataset as DatasetConfig
from syncd.domain.deliveries import lane_name
from syncd.domain.model import Claim, Outcome, Settlement
from syncd.flows.announce import Announcer
from syncd.flows.context import Dataset
from syncd.ports import SnapshotStore, Surroundings, Target, Trigger
from syncd.runtime.retry import Backoff
from syncd.runtime.worker import Flow
from syncd.service.replicas import Replica

OCCUPIED_S = 5.0
"""After how long the deliveries of a trigger that another daemon is at come again."""


def make_announcers(
    config: Config, datasets: Mapping[str, Dataset], snapshots: Mapping[str, SnapshotStore]
) -> dict[str, Announcer]:
    """One for each dataset that has triggers."""
    return {
        name: Announcer(datasets[name], snapshots[name], table_uri(configured, name), _triggers(config, name))
        for name, configured in config.datasets.items()
        if configured.triggers
    }


def by_lane(announcers: Mapping[str, Announcer]) -> dict[str, Trigger]:
    """All triggers by the lane of their deliveries."""
    return {lane_name(name, one.name): one for name, announcer in announcers.items() for one in announcer.triggers}


def delivery_backoff(config: Config) -> Backoff:
    """When a delivery that failed is tried again."""
    rule = config.deliveries
    return Backoff(rule.first, rule.longest, rule.give_up_after, outlasts_outages=False)


async def in_turn(replica: Replica, deliver: Flow, lane: str, claims: Sequence[Claim]) -> list[Settlement]:
    """Deliver for one trigger, by one daemon at a time: a command is one at a time on whichever host."""
    async with replica.turn(f"trigger:{lane}") as ours:
        if ours:
            return await deliver(lane, claims)
    reason = "another daemon is at this trigger"
    return [Settlement(claim, Outcome.AGAIN, reason, delay=OCCUPIED_S, failed=False) for claim in claims]


def table_uri(configured: DatasetConfig, name: str) -> str:
    """URI of the dataset's table: `table_uri + "@v7"` opens a version."""
    return f"{configured.snapshots.url.rstrip('/')}/{name}"


def remove_old_logs(config: Config) -> None:
    """Remove the output of commands that is older than the delivery log. Blocking."""
    before = time.time() - config.deliveries.keep
    for path in logs_folder(config).glob("*/*/*.log"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


def logs_folder(config: Config) -> Path:
    """Where each trigger has a folder of its own, `DATASET/TRIGGER`."""
    return config.data_dir / "deliveries"


def _triggers(config: Config, name: str) -> list[Trigger]:
    made = []
    for trigger, plugin in config.datasets[name].triggers.items():
        options: Any = plugin.options
        target: Target = plugin.factory(options, _surroundings(config, name, trigger))
        made.append(Trigger(trigger, options.interest, options.conditions, target))
    return made


def _surroundings(config: Config, name: str, trigger: str) -> Surroundings:
    async def publish(uri: str, out: Path, how: Mapping[str, Any]) -> None:
        from syncd.exports.formats import said_in  # noqa: PLC0415 - only who publishes needs the formats
        from syncd.exports.run import export_snapshot  # noqa: PLC0415

        dataset = config.datasets[name]
        access = dataset.snapshots.resolved_options(f"datasets.{name}.snapshots")
        options = {**said_in(how["format"], dataset.about.said().to_options()), **how["options"]}
        given = {**how, "options": options, "storage_options": access}
        await asyncio.to_thread(export_snapshot, uri, out=out, **given)

    return Surroundings(name, trigger, logs_folder(config) / name / trigger, publish)
