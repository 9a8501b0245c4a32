"""`syncd quarantine`: events that sources could not make sense of: look, and drop."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import ConfigOption, JsonOption, load, out, print_json, printable, show, when, with_parts
from syncd.domain.errors import Rejected
from syncd.ports import QUARANTINE_KEPT, Quarantined

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

app = typer.Typer(help="Events that could not be made sense of: look, and drop.", no_args_is_help=True)

SourceOption = Annotated[str | None, typer.Option("--source", "-s", help="Only those of this source.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, the latest first.")]
IdOption = Annotated[list[str] | None, typer.Option("--id", help="Only this one, as `list` shows it; repeatable.")]


@app.command("list")
def list_(
    config: ConfigOption = None, source: SourceOption = None, limit: LimitOption = 100, as_json: JsonOption = False
) -> None:
    """Show bad events, how often they came, and what to do about them."""
    found = with_parts(load(config), lambda parts: parts.state.quarantined(source, limit), doing="quarantine")
    show([_row(entry) for entry in found], as_json=as_json, empty="Nothing is in quarantine.")


@app.command("show")
def show_(
    id_: Annotated[str, typer.Argument(help="The event, as `list` shows it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one bad event as it came, cut at 4,096 bytes; what a terminal would obey is escaped."""

    async def found(parts: "Assembly") -> Quarantined:
        return (await _chosen(parts, None, [id_]))[0]

    entry = with_parts(load(config), found, doing="quarantine")
    excerpt = entry.excerpt.decode(errors="backslashreplace")
    if as_json:
        print_json(asdict(entry) | _row(entry) | {"excerpt": excerpt})
        return
    for name, value in _row(entry).items():
        out.print(f"{name.replace('_', ' ')}: {printable(str(value))}", markup=False, highlight=False, soft_wrap=True)
    for line in excerpt.splitlines() or [""]:
        out.print(f"    {printable(line)}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def drop(
    config: ConfigOption = None,
    source: SourceOption = None,
    id_: IdOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget bad events: all, those of a source, or single ones. They come back with the next event like them."""

    async def forget(parts: "Assembly") -> int:
        chosen = await _chosen(parts, source, id_)
        if chosen and not yes:
            typer.confirm(f"Forget {len(chosen)} bad events?", abort=True)
        return await parts.state.drop_quarantined([entry.id for entry in chosen])

    out.print(f"{with_parts(load(config), forget)} dropped.")


async def _chosen(parts: "Assembly", source: str | None, ids: list[str] | None) -> list[Quarantined]:
    counts = await parts.state.quarantine_counts()
    kept = await parts.state.quarantined(source, QUARANTINE_KEPT * max(1, len(counts)))
    if unknown := set(ids or ()) - {entry.id for entry in kept}:
        raise Rejected(f"no event {', '.join(sorted(unknown))} in quarantine; `syncd quarantine list` shows them")
    return [entry for entry in kept if not ids or entry.id in ids]


def _row(entry: Quarantined) -> dict[str, Any]:
    return {
        "id": entry.id,
        "source": entry.source,
        "reason": entry.reason,
        "count": entry.count,
        "since": when(entry.first_at),
        "last": when(entry.last_at),
        "detail": entry.detail,
    }
