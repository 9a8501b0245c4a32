"""`syncd bucket`: have a bucket tell syncd what happens in it, see whether it does, and take it back."""

import asyncio
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from syncd.cli.common import EXIT_FAILED, ConfigOption, JsonOption, err, load, out, print_json, with_parts
from syncd.secrets import warm

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from syncd.config import Config
    from syncd.service.assembly import Assembly
    from syncd.service.connect import Plan, Recipe, Target, Wishes

    Way = Callable[[Target, Wishes], AbstractAsyncContextManager[Plan | Recipe]]

app = typer.Typer(help="Have buckets tell syncd what happens in them.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The bucket: NAME of its [buckets.NAME].")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it, without asking.")]
ProfileOption = Annotated[
    str | None, typer.Option(help="Profile of the AWS configuration to do it as; default: as syncd itself.")
]
PrefixOption = Annotated[str, typer.Option(help="Only keys that begin so.")]
COLOURS = {"+": "green", "~": "yellow", "-": "red"}


@app.command()
def connect(
    name: NameArgument,
    config: ConfigOption = None,
    yes: YesOption = False,
    via: Annotated[
        str, typer.Option(help="How events reach an SQS queue: queue (straight), sns or eventbridge.")
    ] = "queue",
    prefix: PrefixOption = "",
    suffix: Annotated[str, typer.Option(help="Only keys that end so.")] = "",
    profile: ProfileOption = None,
    policy: Annotated[bool, typer.Option("--policy", help="Only print the least rights syncd needs.")] = False,
) -> None:
    """Show what is missing for a bucket's events to arrive; with --yes, or once you agree, do it.

    Amazon and Ceph are set up from here; for the others the commands are printed. Other people's settings stay.
    """
    from syncd.service import connect as ways

    loaded = load(config)
    target = ways.target_of(loaded, name)
    if policy:
        _print_recipe(ways.policy(target))
        return
    if via not in {"queue", "sns", "eventbridge"}:
        raise typer.BadParameter("must be queue, sns or eventbridge", param_hint="--via")
    wishes = ways.Wishes(via, prefix, suffix, profile)  # type: ignore[arg-type]  # typer took one of the words
    _carry_out(loaded, target, ways.connection, wishes, yes=yes)


@app.command()
def disconnect(
    name: NameArgument,
    config: ConfigOption = None,
    yes: YesOption = False,
    profile: ProfileOption = None,
    delete_queue: Annotated[bool, typer.Option("--delete-queue", help="Also the queue, once it is empty.")] = False,
    force: Annotated[bool, typer.Option("--force", help="The queue even if messages wait in it.")] = False,
) -> None:
    """Take back what `connect` set up, and nothing else."""
    from syncd.service import connect as ways

    loaded = load(config)
    wishes = ways.Wishes(profile=profile, delete_queue=delete_queue, force=force)
    _carry_out(loaded, ways.target_of(loaded, name), ways.disconnection, wishes, yes=yes)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="The bucket, or a source that has only one, such as a folder.")],
    config: ConfigOption = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="Probes, one after another.")] = 5,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest wait for one event, seconds.")] = 60.0,
    prefix: PrefixOption = "",
    as_json: JsonOption = False,
) -> None:
    """Put probe objects, and time their events; exit 1 if one does not come. The probes are removed again."""
    from syncd.config import is_server
    from syncd.service.connect.check import checked, where_to_look
    from syncd.service.replicas import daemons_of
    from syncd.state import holder_of

    loaded = load(config)
    beside = is_server(loaded.state.url) or holder_of(loaded.state.url) is not None
    times: list[float | None] = []
    advice: list[str] = []

    async def probed(parts: "Assembly") -> None:
        daemon = beside and bool(await daemons_of(parts.state, loaded.state.url))
        times.extend(await _probed(parts, name, count, timeout, prefix, daemon=daemon))
        advice.extend(where_to_look(loaded, checked(parts, name)))

    with_parts(loaded, probed, exclusive=not beside, doing=f"probing {name}")
    _report(name, times, advice, as_json=as_json, timeout=timeout)
    if None in times:
        raise typer.Exit(EXIT_FAILED)


async def _probed(
    parts: "Assembly", name: str, count: int, timeout: float, prefix: str, *, daemon: bool
) -> list[float | None]:
    """One probe after another, until one is not heard of."""
    from contextlib import nullcontext

    from syncd.service.connect.check import checked, listening, probe

    bucket, times = checked(parts, name), []
    async with nullcontext() if daemon else listening(parts, bucket):
        for _ in range(count):
            times.append(await probe(parts, bucket, prefix=prefix, timeout=timeout))
            if times[-1] is None:
                break
    return times


def _report(name: str, times: list[float | None], advice: list[str], *, as_json: bool, timeout: float) -> None:
    came = [seconds for seconds in times if seconds is not None]
    p50 = round(median(came), 3) if came else None
    missing = None in times
    if as_json:
        rounded = [None if seconds is None else round(seconds, 3) for seconds in times]
        print_json({"bucket": name, "seconds": rounded, "p50": p50, "look_at": advice if missing else []})
        return
    if came:
        out.print(
            f"{name}: {len(came)} of {len(times)} events came, p50 {p50:.3f} s, longest {max(came):.3f} s",
            highlight=False,
        )
    if missing:
        err.print(
            f"[bold red]bad[/] {escape(name)}: no event within {timeout:g} s of the PUT. Look at:", highlight=False
        )
        for line in advice:
            err.print(f"  - {escape(line)}", highlight=False, soft_wrap=True)


def _carry_out(config: "Config", target: "Target", way: "Way", wishes: "Wishes", *, yes: bool) -> None:
    """Show the plan, and do it where that is wished; print a recipe."""
    from syncd.config import secrets_of
    from syncd.runtime.telemetry import configure_logging
    from syncd.service.connect import Plan

    async def job() -> None:
        await warm(secrets_of(config))
        async with way(target, wishes) as found:
            if not isinstance(found, Plan):
                _print_recipe(found)
                return
            _show(found)
            if found.changes and (yes or await _agreed()):
                await found.carry_out(
                    lambda change: out.print(f"done: {change.what}", markup=False, highlight=False, soft_wrap=True)
                )
            elif found.changes:
                out.print("Nothing was changed; --yes does it.")

    configure_logging("warning", "console")
    asyncio.run(job())


async def _agreed() -> bool:
    """Ask on a terminal; elsewhere nobody can agree."""
    if not (out.is_terminal and err.is_terminal):
        return False
    return await asyncio.to_thread(typer.confirm, "Do it?")


def _show(plan: "Plan") -> None:
    for what in plan.stands:
        out.print(f"  [dim]{escape(what)}[/]", highlight=False, soft_wrap=True)
    for change in plan.changes:
        colour = COLOURS[change.sign]
        out.print(f"[{colour}]{change.sign}[/] {escape(change.what)}", highlight=False, soft_wrap=True)
    if not plan.changes:
        out.print("Nothing to change.")
    _print_notes(plan.notes)


def _print_recipe(recipe: "Recipe") -> None:
    """The texts on standard output, to be kept or run; what to know on standard error."""
    for text in recipe.texts:
        comment = "//" if text.language == "json" else "#"
        if comment == "#":
            out.print(f"# {text.heading}", markup=False, highlight=False, soft_wrap=True)
        out.print(text.text, markup=False, highlight=False, soft_wrap=True)
        out.print()
    _print_notes(recipe.notes)


def _print_notes(notes: Any) -> None:
    for note in notes:
        err.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
