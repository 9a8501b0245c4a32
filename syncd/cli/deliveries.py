"""`syncd deliveries`: what triggers sent, started and published: look, and do it again."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import ConfigOption, JsonOption, load, out, print_json, show, when, with_parts
from syncd.domain.deliveries import Attempt, Delivery, Status
from syncd.domain.errors import Rejected

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

app = typer.Typer(help="What triggers sent, started and published: look, and do it again.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(help="The delivery, as `list` shows it, such as fruits/v7/retrain.")]
IdsArgument = Annotated[list[str], typer.Argument(help="Deliveries, as `list` shows them.")]
DatasetOption = Annotated[str | None, typer.Option("--dataset", "-d", help="Only those of this dataset.")]
StatusOption = Annotated[Status | None, typer.Option("--status", "-s", help="Only those that stand so.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")]


@app.command("list")
def list_(
    config: ConfigOption = None,
    dataset: DatasetOption = None,
    status: StatusOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """Show deliveries, newest first."""

    async def listed(parts: "Assembly") -> list[Delivery]:
        return await parts.state.deliveries(dataset=dataset, status=status, limit=limit)

    found = with_parts(load(config), listed, doing="deliveries")
    show([_row(delivery) for delivery in found], as_json=as_json, empty="No deliveries.", brief=True)


@app.command("show")
def show_(id_: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one delivery: its event, and every try."""
    found = with_parts(load(config), lambda parts: parts.state.delivery(id_), doing="delivery")
    if found is None:
        raise _unknown([id_])
    if as_json:
        print_json(_row(found) | {"event": found.event, "log": [_entry(attempt) for attempt in found.attempts]})
        return
    print_json(found.event)
    _print_log(found)


@app.command()
def redeliver(ids: IdsArgument, config: ConfigOption = None) -> None:
    """Do it again, with the same event id; a running daemon takes it up at once, else the next one does."""

    async def again(parts: "Assembly") -> int:
        if unknown := [id_ for id_ in ids if await parts.state.delivery(id_) is None]:
            raise _unknown(unknown)
        return await parts.state.redeliver(ids)

    out.print(f"{with_parts(load(config), again, doing='redeliver')} made due again.")


def _print_log(delivery: Delivery) -> None:
    """Every try on a line, and what it said below; paths stay whole, to be copied."""
    lines = [f"Passed over: {delivery.passed_over}"] if delivery.passed_over else []
    for attempt in delivery.attempts:
        took = f"{attempt.verdict.value} after {attempt.seconds:.1f} s"
        lines.append(f"{when(attempt.at)}  {took}: {attempt.outcome}")
        lines += [f"    said: {attempt.excerpt}"] if attempt.excerpt else []
        lines += [f"    output: {attempt.output}"] if attempt.output else []
    for line in lines or ["Not tried yet."]:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _unknown(ids: list[str]) -> Rejected:
    return Rejected(f"no delivery {', '.join(ids)}; `syncd deliveries list` shows what there is")


def _row(delivery: Delivery) -> dict[str, Any]:
    last = delivery.attempts[-1] if delivery.attempts else None
    return {
        "delivery": delivery.id,
        "status": delivery.status.value,
        "made": when(delivery.created_at),
        "attempts": len(delivery.attempts),
        "last": delivery.passed_over or (last.outcome if last else None),
        "next": when(delivery.next_at),
    }


def _entry(attempt: Attempt) -> dict[str, Any]:
    return asdict(attempt) | {"at": when(attempt.at), "seconds": round(attempt.seconds, 3)}
