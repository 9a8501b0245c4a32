"""`syncd snapshot`: versions of a dataset: make one now, list, show, compare, tag."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import (
    ConfigOption,
    JsonOption,
    load,
    out,
    print_json,
    progress,
    show,
    the_dataset,
    when,
    with_parts,
)
from syncd.domain.errors import Rejected
from syncd.domain.model import VersionInfo
from syncd.ports import Diff

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

app = typer.Typer(help="Versioned snapshots of a dataset's annotations.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The dataset's name.")]
VersionArgument = Annotated[str, typer.Argument(help="A version (v3) or a tag (latest, production).")]


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
        show([_row(version)], as_json=as_json)


@app.command("list")
def list_(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show all versions with their tags."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def rows(parts: "Assembly") -> list[dict[str, Any]]:
        tags = await parts.snapshots[name].tags(name)
        versions = await parts.snapshots[name].versions(name)
        return [_row(v) | {"tags": [t for t, n in tags.items() if n == v.number]} for v in versions]

    show(with_parts(loaded, rows, doing="versions"), as_json=as_json, empty=f"{name} has no version yet.")


@app.command("show")
def show_(
    name: NameArgument, version: VersionArgument = "latest", config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one version: its rows by status, and how to open it."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def info(parts: "Assembly") -> dict[str, Any]:
        found = await _find(parts, name, version)
        uri = f"{loaded.datasets[name].snapshots.url.rstrip('/')}/{name}@{found.name}"
        return _row(found) | {"by_status": dict(found.by_status), "open": f'syncd.open_snapshot("{uri}")'}

    found = with_parts(loaded, info, doing="version")
    if as_json:
        print_json(found)
    else:
        show([{"what": what.replace("_", " "), "value": _text(value)} for what, value in found.items()], as_json=False)


@app.command()
def diff(
    name: NameArgument,
    before: VersionArgument,
    after: VersionArgument = "latest",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two versions, by annotation and by label."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def compare(parts: "Assembly") -> Diff:
        numbers = [(await _find(parts, name, version)).number for version in (before, after)]
        return await parts.snapshots[name].diff(name, *numbers)

    found = with_parts(loaded, compare, doing="compare")
    changes = {"inserted": found.inserted, "updated": found.updated, "deleted": found.deleted}
    if as_json:
        print_json(changes | {"labels_before": dict(found.labels_before), "labels_after": dict(found.labels_after)})
        return
    show([{"change": c, "annotations": len(ids), "ids": _some(ids)} for c, ids in changes.items()], as_json=False)
    show(label_rows(found), as_json=False, empty="No labels on either side.")


def label_rows(found: Diff) -> list[dict[str, Any]]:
    """How often each label was given, before and after."""
    labels = sorted({*found.labels_before, *found.labels_after})
    return [
        {"label": label, "before": found.labels_before.get(label, 0), "after": found.labels_after.get(label, 0)}
        for label in labels
    ]


@app.command()
def tag(
    name: NameArgument,
    version: VersionArgument,
    tag: Annotated[str, typer.Argument(help="The movable name.")],
    config: ConfigOption = None,
) -> None:
    """Point a movable name, such as production, at a version."""
    loaded = load(config)
    the_dataset(loaded, name)

    async def point(parts: "Assembly") -> str:
        found = await _find(parts, name, version)
        await parts.snapshots[name].tag(name, tag, found.number)
        return found.name

    out.print(f"{tag} → {with_parts(loaded, point, doing='tag')}")


async def _find(parts: "Assembly", name: str, version: str) -> VersionInfo:
    """A version by name or tag."""
    versions = {v.number: v for v in await parts.snapshots[name].versions(name)}
    tags = await parts.snapshots[name].tags(name)
    number = int(version[1:]) if version[:1] == "v" and version[1:].isdigit() else tags.get(version, 0)
    if number not in versions:
        newest = f"the newest is v{max(versions)}" if versions else "there is none yet"
        raise Rejected(f"{name} has no version {version}; {newest}")
    return versions[number]


def _row(v: VersionInfo) -> dict[str, Any]:
    counts = {"rows": v.rows, "inserted": v.inserted, "updated": v.updated, "deleted": v.deleted}
    return {"version": v.name, "made": when(v.created_at), **counts}


def _text(value: object) -> str:
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, dict) else str(value)


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:8]) + (" …" if len(ids) > 8 else "")
