"""What the commands about versions share: their arguments, a version as a row of a table, and who asks."""

import getpass
import platform
from typing import Annotated, Any

import typer

from syncd.cli.common import when
from syncd.domain.model import VersionInfo

NameArgument = Annotated[str, typer.Argument(help="The dataset's name.")]
VersionArgument = Annotated[str, typer.Argument(help="A version (v3) or a tag (latest, production).")]
TagArgument = Annotated[str, typer.Argument(help="The movable name.")]


def version_row(version: VersionInfo) -> dict[str, Any]:
    """One line of a listing."""
    counts = {name: getattr(version, name) for name in ("rows", "inserted", "updated", "deleted")}
    return {"version": version.name, "made": when(version.created_at), **counts}


def asker() -> str:
    """Who asks, for a history: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        user = "unknown"
    return f"{user}@{platform.node()}"
