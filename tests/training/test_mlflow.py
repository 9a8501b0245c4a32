"""A run remembers the version it saw, with MLflow itself: `syncd.log_to_mlflow`, and the way back."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.data import get_source
from typer.testing import CliRunner

import syncd
from syncd import Snapshot, log_to_mlflow, open_snapshot
from syncd.cli import app
from syncd.domain.errors import Rejected, Retryable
from syncd.domain.model import RowStatus
from syncd.snapshots.store import LanceSnapshots
from syncd.training.mlflow import digest_of
from tests.clock import FakeClock
from tests.snapshots.rows import put


@pytest.fixture(autouse=True)
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs kept in a folder: MLflow's database store wants alembic, and its folder store wants to be asked for."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    store = LanceSnapshots(tmp_path.as_uri(), clock=FakeClock())
    rows = [put("1", split="train"), put("2", split="train"), put("3", split="val"), put("4")]
    await store.commit("fruits", [*rows, put("5", status=RowStatus.SKIPPED, split="val")], "<View/>")
    await store.commit("fruits", [put("6", split="val", labels=("dog",))], "<View/>")
    await store.commit("birds", [put("1")], "<View/>")
    return tmp_path / "fruits"


@pytest.fixture
def snapshot(folder: Path) -> Snapshot:
    return open_snapshot(f"{folder}@v1")


def recorded(run_id: str) -> Any:
    return mlflow.MlflowClient().get_run(run_id)


def test_the_active_run_gets_params_tags_and_an_input(snapshot: Snapshot) -> None:
    with mlflow.start_run() as run:
        assert log_to_mlflow(snapshot) == run.info.run_id
    found = recorded(run.info.run_id)
    assert found.data.params == {"syncd.dataset": "fruits", "syncd.version": "v1"}
    assert {name: value for name, value in found.data.tags.items() if name.startswith("syncd.")} == {
        "syncd.dataset": "fruits",
        "syncd.version": "v1",
        "syncd.uri": snapshot.uri,
        "syncd.label_config_hash": snapshot.info.label_config_hash,
        "syncd.rows.none": "1",
        "syncd.rows.train": "2",
        "syncd.rows.val": "1",
    }
    (given,) = found.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.source_type) == ("fruits@v1", "syncd")
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]
    assert json.loads(given.dataset.schema)["annotation_id"] == "string"
    assert json.loads(given.dataset.profile)["status"] == {"skipped": 1, "submitted": 4}


def test_the_input_opens_the_version_again(snapshot: Snapshot) -> None:
    run_id = log_to_mlflow(snapshot, context="evaluation")
    (given,) = recorded(run_id).inputs.dataset_inputs
    again = get_source(given).load()
    assert again.uri == snapshot.uri
    assert again.to_arrow() == snapshot.to_arrow()


def test_a_run_is_given_as_itself_or_by_its_id_and_repetition_changes_nothing(snapshot: Snapshot) -> None:
    with mlflow.start_run() as run:
        pass
    for given in (run, run.info.run_id, run.info.run_id):
        log_to_mlflow(snapshot, given)
    assert len(recorded(run.info.run_id).inputs.dataset_inputs) == 1


def test_a_run_may_see_two_versions(folder: Path) -> None:
    run_id = log_to_mlflow(open_snapshot(f"{folder}@v1"))
    log_to_mlflow(open_snapshot(f"{folder}@v2"), run_id, context="evaluation")
    found = recorded(run_id)
    assert {given.dataset.name for given in found.inputs.dataset_inputs} == {"fruits@v1", "fruits@v2"}
    assert (found.data.params["syncd.version"], found.data.tags["syncd.version"]) == ("v1", "v2")


async def test_the_digest_changes_with_the_rows_alone(tmp_path: Path, folder: Path) -> None:
    one, two = (digest_of(open_snapshot(f"{folder}@v{n}")) for n in (1, 2))
    assert one.startswith("v1-")
    assert one.partition("-")[2] != two.partition("-")[2]
    assert len(one) <= 36
    store = LanceSnapshots(f"{tmp_path.as_uri()}/again", clock=FakeClock())
    rows = [put("4"), put("1", split="train"), put("2", split="train"), put("3", split="val")]
    await store.commit("fruits", [put("5", status=RowStatus.SKIPPED, split="val"), *rows], "<View/>")
    assert digest_of(open_snapshot(tmp_path / "again" / "fruits")) == one


def test_a_run_that_is_not_there_and_a_silent_server_are_told(snapshot: Snapshot, monkeypatch: Any) -> None:
    with pytest.raises(Rejected, match="MLflow run 'feedbeef'"):
        log_to_mlflow(snapshot, "feedbeef")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://127.0.0.1:1")
    with pytest.raises(Retryable, match="recording on MLflow run 'feedbeef'"):
        log_to_mlflow(snapshot, "feedbeef")


def lineage(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["lineage", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_tells_what_changed_since_a_run(folder: Path, snapshot: Snapshot) -> None:
    run_id = log_to_mlflow(snapshot)
    assert "fruits: v1 to v2" in lineage("--run", run_id)
    assert json.loads(lineage(str(folder), "--run", run_id, "--json"))["diff"]["inserted"] == ["6"]
    with pytest.raises(Rejected, match="saw a version of 'fruits'"):
        lineage(str(folder.parent / "birds"), "--run", run_id)
    mlflow.end_run()
    with mlflow.start_run() as other:
        pass
    with pytest.raises(Rejected, match="recorded no syncd version"):
        lineage("--run", other.info.run_id)


def test_without_mlflow_the_extra_is_named(folder: Path) -> None:
    code = f"""
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "mlflow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import syncd
snapshot = syncd.open_snapshot("{folder}@v1")
try:
    syncd.log_to_mlflow(snapshot)
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "mlflow: installed for this: pip install 'syncd[mlflow]' (found not installed)\n"


def test_it_is_offered_by_the_package() -> None:
    assert "log_to_mlflow" in syncd.__all__
