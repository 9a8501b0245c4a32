"""`syncd bucket` as a person runs it: probes through a folder and through SQS, plans shown before they are done."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from syncd.cli import app
from syncd.cli.common import exit_with
from syncd.domain.errors import Retryable, SyncdError
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.routing import Selection, is_probe
from syncd.service.probes import KEPT, Probes, heard
from syncd.state.memory import MemoryState
from tests.acceptance.site import until
from tests.aws_emulators import KEY, REGION, Emulator
from tests.clock import FakeClock
from tests.label_studio import free_port

DATASET = """
[annotators.studio]
type = "label-studio"
url = "http://127.0.0.1:9"
token = { env = "STUDIO_TOKEN" }
[datasets.fruits]
annotator = "studio"
sources = ["camera"]
task = "image-classification"
labels = ["apple", "pear"]
"""


class Person:
    """Runs the command line in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {"HOME": str(home), "STUDIO_TOKEN": "t0ken", "COLUMNS": "200"}
        self.config = home / "syncd.toml"

    def configure(self, source: str) -> None:
        self.config.write_text(f'data_dir = "data"\n[receiver]\nport = {free_port()}\n{source}{DATASET}')

    def syncd(self, *arguments: str, status: int = 0) -> Result:
        """The command line in this process: starting one takes longer than what it does."""
        done = CliRunner().invoke(app, [*arguments, "--config", str(self.config)], env=self.environment)
        if isinstance(done.exception, SyncdError):
            done.exit_code = exit_with(done.exception)
        assert done.exit_code == status, f"{done.output}{done.exception!r}"
        return done

    def check(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.syncd("bucket", "check", *arguments, "--json", status=status).stdout)
        return found

    @contextmanager
    def daemon(self) -> Iterator[None]:
        log = self.home / "daemon.log"
        with log.open("wb") as stream:
            command = [str(Path(sys.executable).parent / "syncd"), "run", "--config", str(self.config)]
            running = subprocess.Popen(command, env={**os.environ, **self.environment}, stdout=stream, stderr=stream)
        try:
            until("the daemon watches", lambda: "folder.watch_started" in log.read_text() or running.poll() is not None)
            assert running.poll() is None, log.read_text()
            yield
        finally:
            running.terminate()
            running.wait(30)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody with a folder."""
    return Person(tmp_path)


@pytest.fixture
def folder(person: Person) -> Path:
    """The folder that is watched."""
    folder = person.home / "photos"
    folder.mkdir()
    person.configure(f'[sources.camera]\ntype = "folder"\npath = "{folder}"\n')
    return folder


def test_a_folder_is_probed_without_and_with_the_daemon(person: Person, folder: Path) -> None:
    alone = person.check("camera", "--count", "2")
    assert len(alone["seconds"]) == 2
    assert 0 <= alone["p50"] < 30
    assert alone["look_at"] == []
    with person.daemon():
        together = person.check("camera", "--count", "2")
        assert len(together["seconds"]) == 2
        status = json.loads(person.syncd("status", "--json").stdout)
        assert ".syncd-probe" not in json.dumps(status)  # nothing became of them
    assert list(folder.iterdir()) == []
    assert "syncd-probe" not in (person.home / "daemon.log").read_text()


def test_a_bucket_nobody_configured_is_named_with_those_there_are(person: Person, folder: Path) -> None:
    done = person.syncd("bucket", "check", "holiday", status=78)
    assert "must be one of [buckets.*] or [sources.*]: camera" in str(done.exception)
    done = person.syncd("bucket", "connect", "camera", status=78)
    assert "must be one of the configured [buckets.*]: none" in str(done.exception)


@pytest.fixture
def bucket(person: Person, ministack: Emulator) -> str:
    """A bucket of the emulator, and a source of its queue."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
    boto3.client("s3", endpoint_url=ministack.endpoint, region_name=REGION, **keys).create_bucket(Bucket=name)
    person.environment |= ministack.variables
    person.configure(
        f'[buckets.photos]\nurl = "s3://{name}"\n[buckets.photos.storage_options]\n'
        f'aws_endpoint = "{ministack.endpoint}"\naws_region = "{REGION}"\nallow_http = "true"\n'
        f'[sources.camera]\ntype = "sqs"\nbuckets = ["photos"]\nqueue = "queue-{name}"\nwait = 1\n'
    )
    return name


def test_a_bucket_is_connected_checked_and_disconnected(person: Person, bucket: str) -> None:
    shown = person.syncd("bucket", "connect", "photos")
    assert [line[0] for line in shown.stdout.splitlines()[:3]] == ["+", "+", "+"]
    assert "Nothing was changed; --yes does it." in shown.stdout

    done = person.syncd("bucket", "connect", "photos", "--yes")
    assert done.stdout.count("done: ") == 3
    assert "Nothing to change." in person.syncd("bucket", "connect", "photos", "--yes").stdout

    found = person.check("photos", "--count", "3")
    assert len(found["seconds"]) == 3
    assert None not in found["seconds"]

    gone = person.syncd("bucket", "disconnect", "photos", "--yes", "--delete-queue", "--force")
    assert "- notification syncd-photos" in gone.stdout
    assert f"- queue queue-{bucket}-dead" in gone.stdout


def test_an_event_that_does_not_come_is_said_with_what_to_look_at(
    person: Person, bucket: str, ministack: Emulator
) -> None:
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
    sqs = boto3.client("sqs", endpoint_url=ministack.endpoint, region_name=REGION, **keys)
    sqs.create_queue(QueueName=f"queue-{bucket}")  # which no bucket tells anything
    found = person.check("photos", "--timeout", "0.3", "--count", "3", status=1)
    assert found["seconds"] == [None]
    assert found["p50"] is None
    assert "`syncd bucket connect NAME`" in found["look_at"][0]
    s3 = boto3.client("s3", endpoint_url=ministack.endpoint, region_name=REGION, **keys)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)  # the probe is gone all the same
    doctor = json.loads(person.syncd("doctor", "--json", status=1).stdout)
    (events,) = [line for line in doctor if line["what"] == "events of photos"]
    assert events["ok"] is None
    assert "`syncd bucket connect photos` makes it" in events["detail"]


def test_the_policy_is_json_and_nothing_else(person: Person, bucket: str) -> None:
    printed = json.loads(person.syncd("bucket", "connect", "photos", "--policy").stdout)
    assert printed["Version"] == "2012-10-17"


# ---------------------------------------------------------------- the notes


async def test_the_first_event_of_a_probe_counts_and_few_are_kept() -> None:
    clock = FakeClock()
    state = MemoryState(clock)
    probes = Probes(state, clock)

    def seen(n: int) -> tuple[ObjectRef, Observation]:
        return ObjectRef("s3://a", f"in/.syncd-probe-{n}"), Observation(clock.now())

    await probes.note([seen(0), (ObjectRef("s3://a", "cat.jpg"), Observation(clock.now()))])
    first = clock.now()
    clock.advance(5)
    await probes.note([seen(0)])
    assert await heard(state, "s3://a") == {"in/.syncd-probe-0": first}
    for n in range(1, 2 * KEPT):
        await probes.note([seen(n)])
    assert len(await heard(state, "s3://a")) == KEPT
    assert await heard(state, "s3://b") == {}


async def test_a_probe_that_could_not_be_written_down_is_when_its_event_comes_again() -> None:
    class Full(MemoryState):
        full = True

        async def put(self, name: str, value: str) -> None:
            if self.full:
                raise Retryable("the disk is full")
            await super().put(name, value)

    clock = FakeClock()
    state = Full(clock)
    probes = Probes(state, clock)
    event = [(ObjectRef("s3://a", ".syncd-probe-1"), Observation(clock.now()))]
    with pytest.raises(Retryable):
        await probes.note(event)
    state.full = False
    await probes.note(event)
    assert list(await heard(state, "s3://a")) == [".syncd-probe-1"]


@pytest.mark.parametrize("key", [".syncd-probe-1", "in/.syncd-probe-1", "in/a b/.syncd-probe-"])
def test_no_selection_takes_a_probe(key: str) -> None:
    assert is_probe(key)
    assert not Selection(hidden=True).accepts(key)
    assert not Selection(("**", key), hidden=True).accepts(key)


def test_an_object_below_such_a_folder_is_no_probe() -> None:
    assert not is_probe(".syncd-probe-1/cat.jpg")
