"""A model's run remembers which version it saw, and the version is found again from the run.

`log_to_mlflow` is `syncd.log_to_mlflow`; `uri_of_run` is called by `syncd lineage --run`. MLflow is imported on first
use: `mlflow-skinny` is enough where runs are kept on a server.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any

import pyarrow.compute as pc

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.training.extras import required
from syncd.training.snapshot import Snapshot

_URI = "syncd.uri"
_UNSPLIT = "none"


def log_to_mlflow(snapshot: Snapshot, run: Any = None, context: str = "training") -> str:
    """Record the version on a run; returns the run's id. Repeating it changes nothing.

    `run`: a run, its id, or None for the active one (one is started where there is none, as MLflow does). `context`:
    what the data were for, as `mlflow.log_input` has it.

    Recorded are an input `NAME@vN`, whose source opens the version again and whose digest changes with its rows; the
    params `syncd.dataset` and `syncd.version`; and the tags `syncd.dataset`, `syncd.version`, `syncd.uri`,
    `syncd.label_config_hash` and `syncd.rows.SPLIT` (submitted rows of each split; `none` for those without one).
    Where a run is given several versions, params stay the first ones' and tags become the last one's.

    ConfigError: MLflow is not installed. Rejected: there is no such run. Retryable: its server did not answer.
    """
    mlflow = required("mlflow")
    source = _source()
    client, run_id = _client(mlflow), _run_id(mlflow, run)
    counted = _counted(snapshot)
    dataset = source.SnapshotDataset(snapshot, digest_of(snapshot), counted)
    entities = mlflow.entities
    purpose = [entities.InputTag(key="mlflow.data.context", value=context)]
    given = entities.DatasetInput(dataset=dataset._to_mlflow_entity(), tags=purpose)  # noqa: SLF001 - as log_input does
    try:
        there = client.get_run(run_id).data.params
        client.log_inputs(run_id, datasets=[given])
        params = [entities.Param(name, value) for name, value in _names(snapshot).items() if name not in there]
        tags = [entities.RunTag(name, value) for name, value in _tags(snapshot, counted["splits"]).items()]
        client.log_batch(run_id, params=params, tags=tags)
    except mlflow.MlflowException as error:
        raise _translated(error, run_id) from error
    return run_id


def uri_of_run(run_id: str) -> str:
    """The URI of the version a run recorded. Rejected: there is no such run, or it recorded none."""
    mlflow = required("mlflow")
    try:
        found = _client(mlflow).get_run(run_id).data.tags.get(_URI)
    except mlflow.MlflowException as error:
        raise _translated(error, run_id) from error
    if not found:
        raise Rejected(
            f"MLflow run {run_id!r} recorded no syncd version: log_to_mlflow(snapshot) does that in training"
        )
    return str(found)


def digest_of(snapshot: Snapshot) -> str:
    """`vN-` and 16 hex digits that change with the rows: of the sha256 over their digests in order."""
    digests = snapshot.to_arrow(status="all", columns=["digest"])["digest"].combine_chunks()
    ordered = digests.take(pc.sort_indices(digests))
    return f"{snapshot.name}-{sha256(''.join(ordered.to_pylist()).encode()).hexdigest()[:16]}"


@cache
def _source() -> Any:
    """Our classes for MLflow, which knows them from here on, also where syncd is not installed as a distribution."""
    module = required("syncd.training.mlflow_source", "mlflow")
    required("mlflow.data.dataset_source_registry").register_dataset_source(module.SnapshotSource)
    return module


def _client(mlflow: Any) -> Any:
    """ConfigError where runs are kept in a database, which the skinny package cannot open."""
    try:
        return mlflow.MlflowClient()
    except ModuleNotFoundError as error:
        allowed = "the address of an MLflow server; or the whole of MLflow, for runs in a database: pip install mlflow"
        found = f"{mlflow.get_tracking_uri().partition(':')[0]}, which needs {error.name}"
        raise ConfigError([Problem("MLFLOW_TRACKING_URI", found, allowed)]) from None


def _run_id(mlflow: Any, run: Any) -> str:
    if run is None:
        run = mlflow.active_run() or mlflow.start_run()
    return run if isinstance(run, str) else str(run.info.run_id)


def _names(snapshot: Snapshot) -> dict[str, str]:
    return {"syncd.dataset": snapshot.dataset, "syncd.version": snapshot.name}


def _tags(snapshot: Snapshot, splits: Mapping[str, int]) -> dict[str, str]:
    kept = {_URI: snapshot.uri, "syncd.label_config_hash": snapshot.info.label_config_hash}
    return {**_names(snapshot), **kept, **{f"syncd.rows.{split}": str(count) for split, count in splits.items()}}


def _counted(snapshot: Snapshot) -> dict[str, Any]:
    column = snapshot.to_arrow(columns=["split"])["split"]
    splits = {one["values"] or _UNSPLIT: one["counts"] for one in pc.value_counts(column).to_pylist()}
    return {"status": dict(snapshot.info.by_status), "splits": dict(sorted(splits.items()))}


def _translated(error: Any, run_id: str) -> Rejected | Retryable:
    if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
        return Rejected(f"MLflow run {run_id!r}: {str(error).splitlines()[0]}")
    return Retryable(f"recording on MLflow run {run_id!r}: {str(error).splitlines()[0]}")
