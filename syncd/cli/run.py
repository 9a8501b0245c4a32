"""`syncd run`: the daemon in the foreground, as service managers want it."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from syncd.cli.common import ConfigOption, load


class LogFormat(StrEnum):
    """As `log.format` in the configuration."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


def run(
    config: ConfigOption = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="How logs look; else what the configuration says.")
    ] = None,
) -> None:
    """Run the daemon until it is told to stop (SIGTERM or Ctrl-C; twice to cut it short).

    Exit codes: 0 stopped, 78 the configuration cannot work, 1 a bug (a supervisor starts it again, and that is safe).
    """
    from syncd.runtime.telemetry import configure_logging
    from syncd.service import daemon

    loaded = load(config)
    configure_logging(loaded.log.level, log_format or loaded.log.format)
    asyncio.run(daemon.run(loaded))
