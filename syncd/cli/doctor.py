"""`syncd doctor`: every line ok, or what to do about it."""

import dataclasses
from typing import TYPE_CHECKING

import typer

from syncd.cli.common import EXIT_FAILED, ConfigOption, JsonOption, load, out, print_json, with_parts

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly
    from syncd.service.doctor import Finding

SIGNS = {True: "[green]ok  [/]", False: "[bold red]bad [/]", None: "[yellow]look[/]"}


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, folders, tokens, addresses, webhooks, limits and clocks; exit 1 if something is bad."""
    from syncd.service.doctor import examine

    loaded = load(config)
    findings: list[Finding] = []

    async def look(parts: "Assembly") -> None:
        async for finding in examine(parts):
            findings.append(finding)
            if not as_json:
                _show(finding)

    with_parts(loaded, look)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _show(finding: "Finding") -> None:
    detail = finding.detail.replace("[", r"\[")
    out.print(f"{SIGNS[finding.ok]} {finding.what}: {detail}", highlight=False, soft_wrap=True)
