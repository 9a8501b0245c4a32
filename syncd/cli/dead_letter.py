"""`syncd dead-letter`: subjects that failed for good: look, try again, or drop."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.common import ConfigOption, JsonOption, load, out, show, when, with_parts
from syncd.domain.errors import Rejected
from syncd.domain.model import DeadLetter, Subject

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly

app = typer.Typer(help="Subjects that failed for good: look, try again, or drop.", no_args_is_help=True)

DatasetOption = Annotated[str | None, typer.Option("--dataset", "-d", help="Only those of this dataset.")]
IdOption = Annotated[list[str] | None, typer.Option("--id", help="Only this subject, as `list` shows it; repeatable.")]


@app.command("list")
def list_(config: ConfigOption = None, dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """Show the dead letters and why they died."""
    letters = with_parts(load(config), lambda parts: parts.state.dead_letters(dataset), doing="dead letters")
    show([_row(letter) for letter in letters], as_json=as_json, empty="No dead letters.")


@app.command()
def retry(config: ConfigOption = None, dataset: DatasetOption = None, id_: IdOption = None) -> None:
    """Make dead letters due again; a running daemon takes them up at once."""

    async def revive(parts: "Assembly") -> int:
        return await parts.state.revive(await _chosen(parts, dataset, id_))

    out.print(f"{with_parts(load(config), revive, doing='retry')} made due again.")


@app.command()
def drop(
    config: ConfigOption = None,
    dataset: DatasetOption = None,
    id_: IdOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget dead letters. A new event for the same thing brings it back."""

    async def forget(parts: "Assembly") -> int:
        chosen = await _chosen(parts, dataset, id_)
        if chosen and not yes:
            typer.confirm(f"Forget {len(chosen)} dead letters?", abort=True)
        return await parts.state.drop(chosen)

    out.print(f"{with_parts(load(config), forget)} dropped.")


async def _chosen(parts: "Assembly", dataset: str | None, ids: list[str] | None) -> list[Subject]:
    letters = await parts.state.dead_letters(dataset)
    if unknown := set(ids or ()) - {letter.subject.id for letter in letters}:
        raise Rejected(f"no dead letter {', '.join(sorted(unknown))}; `syncd dead-letter list` shows what there is")
    return [letter.subject for letter in letters if not ids or letter.subject.id in ids]


def _row(letter: DeadLetter) -> dict[str, Any]:
    subject = letter.subject
    return {
        "kind": subject.kind.value,
        "dataset": subject.dataset,
        "id": subject.id,
        "since": when(letter.dead_at),
        "attempts": letter.attempts,
        "reason": letter.reason,
    }
