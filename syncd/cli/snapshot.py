"""`syncd snapshot`: versions of a dataset: make one now, list, show, check, bring back.

Comparing is in `diff`, tags are in `tags`, garbage collection in `garbage`.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.arguments import NameArgument, VersionArgument, asker, version_row
from syncd.cli.common import (
    EXIT_FAILED,
    ConfigOption,
    JsonOption,
    load,
    out,
    print_json,
    progress,
    show,
    the_dataset,
    with_parts,
)
from syncd.cli.diff import diff
from syncd.cli.garbage import gc
from syncd.cli.tags import history, tag, untag
from syncd.domain.model import VersionInfo
from syncd.ports import Damage
from syncd.snapshots.names import version_number

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

app = typer.Typer(help="Versioned snapshots of a dataset's annotations.", no_args_is_help=True)

for command in (diff, tag, untag, history, gc):
    app.command()(command)


@app.command()
def create(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make a version now of what people submitted; none when nothing changed."""
    from syncd.runtime.telemetry import configure_logging
    from syncd.service.manual import snapshot_now

    configure_logging("warning", "console")
    loaded = load(config)
    the_dataset(loaded, name)
    with progress(f"snapshot of {name}") as step:
        version = snapshot_now(loaded, name, step)
    if version is None:
        out.print("Nothing changed since the newest version.") if not as_json else print_json(None)
    else:
        show([version_row(version)], as_json=as_json)


@app.command("list")
def list_(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show all versions with their tags."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def rows(parts: "Assembly") -> list[dict[str, Any]]:
        tags = await parts.snapshots[name].tags(name)
        versions = await parts.snapshots[name].versions(name)
        return [version_row(v) | {"tags": [t for t, n in tags.items() if n == v.number]} for v in versions]

    show(with_parts(loaded, rows, doing="versions"), as_json=as_json, empty=f"{name} has no version yet.")


@app.command("show")
def show_(
    name: NameArgument, version: VersionArgument = "latest", config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one version: its rows by status, and how to open it."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def info(parts: "Assembly") -> dict[str, Any]:
        found = await parts.snapshots[name].find(name, version)
        restored = {"restored_from": f"v{found.restored_from}", "by": found.by} if found.restored_from else {}
        uri = f"{loaded.datasets[name].snapshots.url.rstrip('/')}/{name}@{found.name}"
        opening = f'syncd.open_snapshot("{uri}")'
        return version_row(found) | restored | {"by_status": dict(found.by_status), "open": opening}

    found = with_parts(loaded, info, doing="version")
    if as_json:
        print_json(found)
    else:
        show([{"what": what.replace("_", " "), "value": _text(value)} for what, value in found.items()], as_json=False)


@app.command()
def restore(
    name: NameArgument, version: VersionArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Make a new version that holds what an older one holds.

    The annotator is not touched: an answer that is changed there later comes into the next version as ever.
    """
    loaded = load(config)
    the_dataset(loaded, name)

    async def bring_back(parts: "Assembly") -> VersionInfo | None:
        found = await parts.snapshots[name].find(name, version)
        return await parts.snapshots[name].restore(name, found.number, by=asker())

    made = with_parts(loaded, bring_back, doing="restore")
    if made is None:
        out.print(f"The newest version holds what {version} holds.") if not as_json else print_json(None)
    else:
        show([version_row(made)], as_json=as_json)


@app.command()
def verify(
    name: NameArgument,
    version: Annotated[str | None, typer.Argument(help="A version (v3) or a tag; default: all versions.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every file of a version against what was written; exit code 1 where one is missing or changed."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def damages(parts: "Assembly") -> list[Damage]:
        snapshots = parts.snapshots[name]
        if version is None:
            return await snapshots.verify(name)
        number = version_number(version) or (await snapshots.find(name, version)).number
        return await snapshots.verify(name, number)

    found = with_parts(loaded, damages, doing="verify")
    looked_at = f"{name}@{version}" if version else name
    rows = [{"file": damage.path, "trouble": damage.trouble.value} for damage in found]
    show(rows, as_json=as_json, empty=f"Every file of {looked_at} is as it was written.")
    if found:
        if not as_json:
            out.print("Restore these files from a backup, or open another version.")
        raise typer.Exit(EXIT_FAILED)


def _text(value: object) -> str:
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, dict) else str(value)
