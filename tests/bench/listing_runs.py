"""What the bench of reconcile measures, each in a process of its own so that its CPU and memory are its own.

`python -m tests.bench.listing_runs fill STATE COUNT`, `bare PORT`, `passes STATE PORT ANNOTATOR`: prints one `Pass` a
line as JSON, and then the most memory the process ever had, in MB.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from syncd.annotators.label_studio import LabelStudio, LabelStudioOptions
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.model import ObjectRef, Record
from syncd.domain.planning import OnDelete, Policy
from syncd.domain.routing import Route, Routes
from syncd.flows.context import Dataset, SnapshotPolicy
from syncd.flows.reconcile import Caution, Course, reconcile_objects
from syncd.ports import DatasetSpec
from syncd.runtime.clock import SystemClock
from syncd.runtime.garbage import settle
from syncd.state import open_state
from syncd.stores.cloud import Cloud
from tests.bench.listing_server import etag_of, key_of, size_of

NAME, BUCKET = "bench", "s3://bench"
_XML = '<View><Image name="image" value="$image"/><Choices name="c" toName="image"><Choice value="a"/></Choices></View>'
_BATCH = 10_000
_PASSES = 2


@dataclass(frozen=True)
class Pass:
    """One look at all objects: how many, in how many seconds, of this process's CPU and of the clock."""

    objects: int
    cpu: float
    seconds: float


class _Watch:
    def __init__(self) -> None:
        self._cpu, self._seconds = time.process_time(), time.perf_counter()

    def passed(self, objects: int) -> Pass:
        """Since it was made."""
        return Pass(objects, time.process_time() - self._cpu, time.perf_counter() - self._seconds)


def bare(port: str) -> list[Pass]:
    """obstore's own listing, in pages of 1,000, and nothing done with it."""
    store = S3Store(
        "bench",
        config={"endpoint": f"http://127.0.0.1:{port}", "skip_signature": True, "region": "us-east-1"},
        client_options={"allow_http": True},
    )
    watch = _Watch()
    return [watch.passed(sum(len(page) for page in obstore.list(store, chunk_size=1_000)))]


def fill(state: str, count: str) -> list[Pass]:
    """A state that knows all objects, each with its task."""
    return asyncio.run(_fill(state, int(count)))


async def _fill(path: str, count: int) -> list[Pass]:
    state, watch = await open_state(f"sqlite:///{path}", SystemClock(), exclusive=True), _Watch()
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        await state.record([_record(number) for number in numbers])
    await state.close()
    return [watch.passed(count)]


def _record(number: int) -> Record:
    ref = ObjectRef(BUCKET, key_of(number))
    return Record(NAME, ref, f"{number:032x}", str(number + 1), etag_of(number), size=size_of(number))


def passes(state: str, port: str, annotator: str) -> list[Pass]:
    """The daemon's look at the bucket beside that state, and the same once more."""
    return asyncio.run(_passes(state, port, annotator))


async def _passes(path: str, port: str, annotator: str) -> list[Pass]:
    passed = []
    settle()  # as the daemon does
    async with _dataset(path, port, annotator) as dataset:
        for _ in range(_PASSES):
            watch = _Watch()
            found = await reconcile_objects(dataset, dataset.store(BUCKET), Caution(), Course(looker="daemon"))
            assert (found.new, found.changed, found.gone, found.refused) == (0, 0, 0, ""), found
            assert found.known == found.seen
            passed.append(watch.passed(found.seen))
        assert not await dataset.state.backlog()
    return passed


@asynccontextmanager
async def _dataset(path: str, port: str, annotator: str) -> AsyncIterator[Dataset]:
    clock = SystemClock()
    options = {
        "aws_endpoint": f"http://127.0.0.1:{port}",
        "aws_access_key_id": "bench",
        "aws_secret_access_key": "bench",
        "aws_region": "us-east-1",
        "allow_http": "true",
    }
    store = Cloud(BUCKET, lambda: options, clock)
    studio = LabelStudio(_options(annotator), clock=clock)
    state = await open_state(f"sqlite:///{path}", clock, exclusive=True)
    yield Dataset(
        spec=DatasetSpec(NAME, NAME, _XML, (BUCKET,)),
        config=parse_label_config(_XML),
        policy=Policy(on_delete=OnDelete.RETIRE),
        snapshots=SnapshotPolicy(),
        annotator=studio,
        stores={BUCKET: store},
        routes=Routes([Route(NAME, BUCKET)]),
        state=state,
        clock=clock,
    )
    await store.close()
    await studio.close()
    await state.close()


def _options(port: str) -> LabelStudioOptions:
    return LabelStudioOptions.model_validate({"url": f"http://127.0.0.1:{port}", "token": {"env": "BENCH_TOKEN"}})


def _peak_mb() -> float:
    """The most memory this process ever had; `ru_maxrss` would count that of the process it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


_RUNS: dict[str, Callable[..., list[Pass]]] = {"bare": bare, "fill": fill, "passes": passes}

if __name__ == "__main__":
    for one in _RUNS[sys.argv[1]](*sys.argv[2:]):
        sys.stdout.write(json.dumps(asdict(one)) + "\n")
    sys.stdout.write(f"{_peak_mb():.1f}\n")
