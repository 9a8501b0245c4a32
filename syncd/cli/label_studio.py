"""`syncd label-studio up | down | status`: a Label Studio on this machine, for trying things out.

Composed into the command line by `syncd.cli`, which turns expected errors into one line and an exit code.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.common import JsonOption, out, print_json, progress
from syncd.domain.errors import ConfigError, Problem

if TYPE_CHECKING:
    from syncd.annotators.label_studio.local import LocalLabelStudio, Running, Status

app = typer.Typer(help="A Label Studio on this machine, for trying things out.", no_args_is_help=True)

PortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port on 127.0.0.1; else the one it had before, 8080 at first."),
]
FilesOption = Annotated[
    Path | None,
    typer.Option(help="Folder whose files annotators may be shown; else the one it had before, none at first."),
]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Where it is kept; else $SYNCD_DATA_DIR, else the user's data folder.")
]


@app.command()
def up(port: PortOption = None, files: FilesOption = None, data_dir: DataDirOption = None) -> None:
    """Install Label Studio if need be (1 GB), start it, and make an access token for syncd.

    It is restarted where options say otherwise than before.
    """
    local = _local(data_dir)
    with progress("label-studio") as step:
        running = local.up(port, files, on_progress=step)
    _show_running(running, local.credentials_file)


@app.command()
def down(data_dir: DataDirOption = None) -> None:
    """Stop Label Studio. Its data stays."""
    stopped = _local(data_dir).down()
    typer.echo("Label Studio is stopped." if stopped else "Label Studio was not running.")


@app.command()
def status(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Tell what is installed, and whether it runs."""
    found = _local(data_dir).status()
    if as_json:
        print_json(asdict(found))
    else:
        _show_status(found)


def _local(data_dir: Path | None) -> "LocalLabelStudio":
    try:  # here, because the rest of the command line does without this extra
        from syncd.annotators.label_studio.local import LocalLabelStudio, default_data_dir
    except ModuleNotFoundError as error:
        extra = "the extra: pip install 'syncd[label-studio]'"
        raise ConfigError([Problem("label-studio", f"no module {error.name}", extra)]) from None
    return LocalLabelStudio((data_dir or default_data_dir()) / "label-studio")


def _show_running(running: "Running", credentials_file: Path) -> None:
    # The password is for the person at the terminal, not for the log of a build.
    password = running.password if out.is_terminal else f"in {credentials_file}"
    _show(
        ("Label Studio", running.url),
        ("log in as", running.username),
        ("password", password),
        ("token", f"in {running.token_file}"),
        ("files", str(running.files_root or "none")),
    )


def _show_status(found: "Status") -> None:
    state = "not running"
    if found.running:
        state = f"{found.url} (pid {found.pid})" + ("" if found.healthy else ", does not answer")
    _show(
        ("Label Studio", state),
        ("installed", found.installed or "no"),
        ("log in as", found.username or "no account yet"),
        ("token", f"in {found.token_file}" if found.token_file.exists() else "none yet"),
        ("log", str(found.log)),
    )


def _show(*lines: tuple[str, str]) -> None:
    for name, value in lines:
        typer.echo(f"{name:<13} {value}")
