"""`syncd snapshot diff`: what changed between two versions: as tables, as JSON, or as a report with charts."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from syncd.cli.arguments import NameArgument, VersionArgument
from syncd.cli.common import ConfigOption, JsonOption, err, load, out, print_json, show, the_dataset, with_parts
from syncd.domain.diff import Diff, Update, moved
from syncd.domain.errors import Rejected

if TYPE_CHECKING:
    from syncd.service.assembly import Assembly
    from syncd.training.report.page import Report

HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="Write a report with charts to this file; it opens offline.")
]
MOST_UPDATES = 20
MOST_IDS = 8


def diff(
    name: NameArgument,
    before: VersionArgument,
    after: VersionArgument = "latest",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    html: HtmlOption = None,
) -> None:
    """Show what changed between two versions: rows, their fields and labels, and how often each label is used."""
    loaded = load(config)
    the_dataset(loaded, name)
    report = with_parts(loaded, lambda parts: _report(parts, name, before, after), doing="compare")
    if html:
        _write(html, report.html())
    if as_json:
        print_json(_record(report))
    else:
        _print(report)


async def _report(parts: "Assembly", name: str, before: str, after: str) -> "Report":
    from syncd.training.report.page import Report

    snapshots = parts.snapshots[name]
    old, new = [await snapshots.find(name, version) for version in (before, after)]
    found = await snapshots.diff(name, old.number, new.number)
    return Report(old, new, found, await snapshots.versions(name), await snapshots.tags(name))


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Rejected(f"the report cannot be written to {path}: {error.strerror}") from None
    err.print(f"report: {escape(str(path))}", highlight=False, soft_wrap=True)


def _record(report: "Report") -> dict[str, Any]:
    """The diff for machines, each side with the name of its version."""
    record = asdict(report.diff)
    sides = {"before": report.before, "after": report.after}
    return record | {side: {"version": info.name, **record[side]} for side, info in sides.items()}


def _print(report: "Report") -> None:
    found, names = report.diff, (report.before.name, report.after.name)
    changes = {"inserted": found.inserted, "updated": _ids(found), "deleted": found.deleted}
    show([{"change": c, "rows": len(ids), "annotations": _some(ids)} for c, ids in changes.items()], as_json=False)
    if found.updated:
        show([_updated(one) for one in found.updated[:MOST_UPDATES]], as_json=False, brief=True)
        if len(found.updated) > MOST_UPDATES:
            out.print(f"{len(found.updated) - MOST_UPDATES:,} more updated rows: --json lists them all.\n")
    show([*_moved("label", names, found.before.labels, found.after.labels)], as_json=False, empty="No labels yet.")
    if splits := [*_moved("split", names, found.before.splits, found.after.splits)]:
        show(splits, as_json=False)


def _updated(one: Update) -> dict[str, Any]:
    return {"updated": one.annotation_id, "object": one.key, "fields": list(one.fields), "labels": list(one.labels)}


def _moved(
    what: str, names: tuple[str, str], before: Mapping[str, int], after: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    for name, old, new, change in moved(before, after):
        yield {what: name, names[0]: old, names[1]: new, "change": change}


def _ids(found: Diff) -> tuple[str, ...]:
    return tuple(one.annotation_id for one in found.updated)


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:MOST_IDS]) + (" …" if len(ids) > MOST_IDS else "")
