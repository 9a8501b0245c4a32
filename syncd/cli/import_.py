"""`syncd import`: other people's annotation files → tasks with annotations or predictions, once each."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.common import ConfigOption, JsonOption, err, load, out, print_json, progress, the_dataset
from syncd.config import Config
from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.model import AnswerKind

if TYPE_CHECKING:
    from syncd.imports import Prepared

SHOWN = 10


class Format(StrEnum):
    """What the files are written in."""

    COCO = "coco"
    YOLO = "yolo"
    VOC = "voc"
    CONLL = "conll"
    CSV = "csv"
    JSONL = "jsonl"
    HUGGINGFACE = "huggingface"


def import_(
    name: Annotated[str, typer.Argument(help="The dataset's name.")],
    path: Annotated[Path, typer.Argument(help="The file, or the folder, to import.", exists=True)],
    format: Annotated[Format, typer.Option("--format", "-f", help="What it is written in.")],  # noqa: A002 - the word
    kind: Annotated[AnswerKind, typer.Option("--as", help="What the answers count as.")] = AnswerKind.ANNOTATION,
    bucket: Annotated[str, typer.Option(help="The bucket the media are in; default: the dataset's one.")] = "",
    prefix: Annotated[str, typer.Option(help="What comes before each file name in that bucket.")] = "",
    origin: Annotated[str, typer.Option("--name", help="What to call the import; default: the file's name.")] = "",
    skip_invalid: Annotated[bool, typer.Option(help="Import the rest where some cannot be.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be imported.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import annotation files: each object's task is made, or found, and given the answer, once."""
    from syncd.domain.labels.configs import parse_label_config
    from syncd.imports import PARSERS, prepare
    from syncd.imports.answers import Origin
    from syncd.runtime.telemetry import configure_logging
    from syncd.service.importing import import_answers

    configure_logging("warning", "console")
    loaded = load(config)
    the_dataset(loaded, name)
    parsed = parse_label_config(loaded.datasets[name].label_config_xml)
    bucket = "" if parsed.inline_text else _bucket(loaded, name, bucket.rstrip("/"))
    with progress(f"import into {name}") as step:
        step(f"reading {path}")
        made = Origin(parsed, kind, origin or path.resolve().stem, bucket, prefix)
        prepared = prepare(PARSERS[format.value](path, parsed), made)
        if prepared.problems and not skip_invalid:
            raise _refusal(prepared.problems, len(prepared.answers))
        if dry_run:
            _show_dry_run(prepared, name, as_json=as_json)
            return
        done = import_answers(loaded, name, prepared.answers, step)
    _show_left_out(prepared)
    if as_json:
        print_json({"new": done.new, "known": done.known, "waiting": done.waiting, "left_out": prepared.problems})
        return
    out.print(f"{done.new:,} imported, {done.known:,} were there before, {len(prepared.problems):,} left out.")
    if done.waiting:
        out.print(
            f"{done.waiting:,} wait for their object to appear in the bucket, or for its task; see `syncd status`."
        )


def _show_dry_run(prepared: "Prepared", name: str, *, as_json: bool) -> None:
    _show_left_out(prepared)
    if as_json:
        print_json({"would_import": len(prepared.answers), "left_out": prepared.problems})
    else:
        out.print(f"{len(prepared.answers):,} answers would be imported into {name}.")


def _show_left_out(prepared: "Prepared") -> None:
    for problem in prepared.problems[:SHOWN]:
        err.print("left out:", problem, highlight=False, markup=False, soft_wrap=True)
    if len(prepared.problems) > SHOWN:
        err.print(f"left out: {len(prepared.problems) - SHOWN:,} more")


def _refusal(problems: list[str], fine: int) -> Rejected:
    shown = "\n".join(problems[:SHOWN]) + (f"\n… and {len(problems) - SHOWN} more" if len(problems) > SHOWN else "")
    hint = f"nothing was imported; mend them, or import the other {fine} with --skip-invalid"
    return Rejected(f"{len(problems)} cannot be imported; {hint}:\n{shown}")


def _bucket(config: Config, name: str, asked: str) -> str:
    """The one asked for, or the dataset's only one."""
    from syncd.service.assembly import buckets_of

    buckets = buckets_of(config, name)
    if (asked or len(buckets) != 1) and asked not in buckets:
        raise ConfigError([Problem("--bucket", asked, f"one of {', '.join(buckets)}")])
    return asked or buckets[0]
