"""`syncd snapshot tag|untag|history`: movable names of versions, and who moved them when."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.arguments import NameArgument, TagArgument, VersionArgument, asker
from syncd.cli.common import ConfigOption, JsonOption, load, out, show, the_dataset, when, with_parts
from syncd.domain.errors import Rejected

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

ExpectOption = Annotated[
    str | None, typer.Option("--expect", help="Only if it points at this version now; `none`: only if it is not set.")
]
OnlyOption = Annotated[str | None, typer.Option("--tag", help="Only the moves of this tag.")]


def tag(
    name: NameArgument,
    version: VersionArgument,
    tag: TagArgument,
    expect: ExpectOption = None,
    config: ConfigOption = None,
) -> None:
    """Point a movable name, such as production, at a version. A tagged version is never collected."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def point(parts: "Assembly") -> str:
        snapshots = parts.snapshots[name]
        found = await snapshots.find(name, version)
        await snapshots.tag(name, tag, found.number, by=asker(), expected=_number(expect))
        return found.name

    out.print(f"{tag} → {with_parts(loaded, point, doing='tag')}")


def untag(name: NameArgument, tag: TagArgument, expect: ExpectOption = None, config: ConfigOption = None) -> None:
    """Take a movable name away; its version stays, and may be collected."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def take(parts: "Assembly") -> bool:
        snapshots = parts.snapshots[name]
        was_set = tag in await snapshots.tags(name)
        await snapshots.untag(name, tag, by=asker(), expected=_number(expect))
        return was_set

    was_set = with_parts(loaded, take, doing="untag")
    out.print(f"{tag} is taken away." if was_set else f"{tag} was not set.")


def history(
    name: NameArgument, tag: OnlyOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show who moved which tag when, oldest first."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def rows(parts: "Assembly") -> list[dict[str, Any]]:
        moves = await parts.snapshots[name].tag_moves(name)
        return [
            {
                "when": when(move.at),
                "tag": move.tag,
                "version": f"v{move.number}" if move.number else None,
                "by": move.by,
            }
            for move in moves
            if tag in {None, move.tag}
        ]

    empty = f"No tag of {name} was ever moved." if tag is None else f"Tag {tag} of {name} was never moved."
    show(with_parts(loaded, rows, doing="history"), as_json=as_json, empty=empty)


def _number(expect: str | None) -> int | None:
    """5 for `v5`, 0 for `none`."""
    if expect is None or expect == "none":
        return None if expect is None else 0
    if expect[:1] == "v" and expect[1:].isdigit():
        return int(expect[1:])
    raise Rejected(f"--expect {expect}: give a version, as in v3, or none")
