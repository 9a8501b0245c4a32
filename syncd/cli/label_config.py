"""`syncd label-config`: label configs for common labelling tasks, for the configuration or for Label Studio itself.

Composed by `syncd.cli`, which turns a ConfigError into one line and an exit code. Data goes to standard output,
everything else to standard error. Needs no configuration file and no network.
"""

import sys
import tomllib
from typing import Annotated, Any

import typer

from syncd.cli.common import JsonOption, err, out, print_json, table
from syncd.domain.errors import ConfigError, Problem
from syncd.domain.labels import TASKS, LabelTask, label_config
from syncd.domain.labels.configs import parse_label_config

app = typer.Typer(help="Label configs for common labelling tasks.", no_args_is_help=True)

TaskArgument = Annotated[str, typer.Argument(help="A task, as `list` shows it.")]
OptionOption = Annotated[list[str] | None, typer.Option("--option", "-o", help="name=value, as in TOML; repeatable.")]
LabelOption = Annotated[list[str] | None, typer.Option("--label", "-l", help="A label; repeatable, order is kept.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Show the tasks there are label configs for."""
    if as_json:
        print_json([_described(task) for task in TASKS.values()])
        return
    tasks = table([_row(task) for task in TASKS.values()])
    tasks.columns[0].no_wrap = True  # names are there to be copied
    out.print(tasks)


@app.command()
def show(
    task: TaskArgument, label: LabelOption = None, option: OptionOption = None, as_json: JsonOption = False
) -> None:
    """Print the label config of a task."""
    xml = label_config(task, label or [], **_options(option or []))
    if as_json:
        print_json(_details(task, xml))
    else:
        sys.stdout.write(f"{xml}\n")
    err.print(_sdk_verdict(xml), highlight=False, soft_wrap=True)


def _options(written: list[str]) -> dict[str, Any]:
    """`name=value` each, the value as in TOML."""
    try:
        return tomllib.loads("\n".join(written))
    except tomllib.TOMLDecodeError:
        allowed = 'name=value, the value as in TOML: max_rating=10, channels=\'["x", "y"]\''
        raise ConfigError([Problem("option", ", ".join(written), allowed)]) from None


def _row(task: LabelTask) -> dict[str, Any]:
    return {"task": task.name, "description": task.description, "example_labels": ", ".join(task.example_labels)}


def _described(task: LabelTask) -> dict[str, Any]:
    return {
        "task": task.name,
        "description": task.description,
        "note": task.note,
        "media": task.media,
        "labels": task.labels,
        "options": dict(task.options),
        "example_labels": task.example_labels,
    }


def _details(task: str, xml: str) -> dict[str, Any]:
    parsed = parse_label_config(xml)
    return {
        "task": task,
        "label_config": xml,
        "hash": parsed.hash,
        "labels": parsed.labels,
        "variables": parsed.variables,
        "media_kind": parsed.media_kind,
    }


def _sdk_verdict(xml: str) -> str:
    """What Label Studio's own code says, where it is installed; imported here because it is heavy."""
    try:
        from label_studio_sdk.label_interface import LabelInterface
    except ModuleNotFoundError:
        return "Not checked by Label Studio's SDK; to have that done: pip install 'syncd\\[label-studio]'"
    LabelInterface(xml).validate()
    return "Checked by Label Studio's SDK: valid."
