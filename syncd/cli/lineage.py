"""`syncd lineage`: where the rows of a version come from, which versions hold an object, what changed since a model.

Works on a dataset of the configuration, and on a snapshot URI where there is none: it reads, and asks no annotator.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from syncd.cli.common import ConfigOption, JsonOption, out, print_json, show
from syncd.cli.located import located
from syncd.domain.errors import ConfigError, Problem, Rejected

if TYPE_CHECKING:
    from syncd.training.history import Changes, Holding
    from syncd.training.snapshot import Snapshot

_SHOWN = 3


def lineage(
    version: Annotated[
        str,
        typer.Argument(
            help="NAME or NAME@VERSION of a configured dataset (latest by default), or a snapshot URI or path. "
            "With --run it may be left out."
        ),
    ] = "",
    object_: Annotated[str, typer.Option("--object", help="Which versions hold the object of this key.")] = "",
    bucket: Annotated[str | None, typer.Option(help="The object's bucket, where several have such a key.")] = None,
    since: Annotated[str, typer.Option(help="What changed since this version (v12) or tag (production).")] = "",
    run: Annotated[str, typer.Option(help="What changed since the version that this MLflow run saw.")] = "",
    row: Annotated[str, typer.Option(help="Where the row of this annotation id comes from.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which versions hold an object, what changed since a model's version, or where a row comes from."""
    _one_of(version, {"--object": object_, "--since": since, "--run": run, "--row": row})
    if run:
        version, since = _of_run(run, version)
    snapshot = _opened(version, config)
    if object_:
        found = snapshot.holdings(object_, bucket)
        empty = f"No version of {snapshot.dataset} that is left holds {object_}."
        show([_holding(one, as_json=as_json) for one in found], as_json=as_json, empty=escape(empty))
    elif since:
        _show_changes(snapshot.changes_since(since), as_json=as_json)
    else:
        _show_row(snapshot, row, as_json=as_json)


def _one_of(version: str, asked: dict[str, str]) -> None:
    given = [name for name, value in asked.items() if value]
    if len(given) != 1:
        raise ConfigError([Problem("lineage", " and ".join(given) or "nothing asked", f"one of {', '.join(asked)}")])
    if not version and given != ["--run"]:
        raise ConfigError([Problem("VERSION", "", "a dataset's name, or a URI as in s3://bucket/snapshots/fruits@v12")])


def _opened(version: str, config: Path | None) -> "Snapshot":
    from syncd.training.reader import open_snapshot

    found = located(version, config)
    return open_snapshot(found.uri, storage_options=found.storage_options)


def _of_run(run: str, version: str) -> tuple[str, str]:
    """The version to compare with (default: the newest of the run's dataset), and the one that the run saw."""
    from syncd.training.mlflow import uri_of_run

    base, _, seen = uri_of_run(run).rpartition("@")
    wanted, dataset = version or f"{base}@latest", base.rpartition("/")[2]
    if wanted.rpartition("/")[2].partition("@")[0] != dataset:
        raise Rejected(f"MLflow run {run!r} saw a version of {dataset!r}: compare it with one of that dataset")
    return wanted, seen


# ---------------------------------------------------------------- an object


def _holding(one: "Holding", *, as_json: bool) -> dict[str, Any]:
    if as_json:
        return asdict(one)
    stretch = f"v{one.first}" if one.first == one.last else f"v{one.first} to v{one.last}"
    said = {"annotation": one.annotation_id, "status": one.status, "labels": list(one.labels)}
    return {"versions": stretch, "tags": list(one.tags), **said, "annotator": one.annotator, "etag": one.etag}


# ---------------------------------------------------------------- since a version


def _show_changes(found: "Changes", *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    diff = found.diff
    ids = {"inserted": diff.inserted, "updated": [one.annotation_id for one in diff.updated], "deleted": diff.deleted}
    rows = [
        {"change": change, "annotations": len(ids[change]), "objects": len(keys), "such as": _some(keys)}
        for change, keys in found.objects.items()
    ]
    title = f"{found.after.dataset}: {found.before.name} to {found.after.name}"
    out.print(title if diff else f"{title}: nothing changed", highlight=False)
    if diff:
        show(rows, as_json=False)
        show(_labels(found), as_json=False, empty="No labels on either side.")


def _some(keys: tuple[str, ...]) -> str:
    return ", ".join(keys[:_SHOWN]) + (" …" if len(keys) > _SHOWN else "")


def _labels(found: "Changes") -> list[dict[str, Any]]:
    before, after = found.diff.before.labels, found.diff.after.labels
    counts = {label: (before.get(label, 0), after.get(label, 0)) for label in sorted({*before, *after})}
    return [{"label": label, "before": b, "after": a, "change": f"{a - b:+,}"} for label, (b, a) in counts.items()]


# ---------------------------------------------------------------- a row


def _show_row(snapshot: "Snapshot", annotation: str, *, as_json: bool) -> None:
    found = snapshot.lineage_of(annotation)
    if as_json:
        print_json(found)
        return
    rows = [
        {"from": part, "what": name.replace("_", " "), "value": _text(value)}
        for part, values in found.items()
        for name, value in (values or {}).items()
        if value is not None
    ]
    show(rows, as_json=False)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
