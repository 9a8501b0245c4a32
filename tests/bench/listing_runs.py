"""What the listing bench measures, each in a process of its own so that its CPU and memory are its own.

`python -m tests.bench.listing_runs bare PORT`, `fill STATE COUNT`, `join STATE PORT`: prints the objects or
differences counted, CPU seconds and the most memory it ever had, in MB.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from syncd.annotators.memory import MemoryAnnotator
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.model import ObjectRef, Record
from syncd.domain.planning import OnDelete, Policy
from syncd.domain.routing import Route, Routes
from syncd.flows.context import Dataset, SnapshotPolicy
from syncd.flows.reconcile import Caution, reconcile_objects
from syncd.ports import DatasetSpec
from syncd.runtime.clock import SystemClock
from syncd.runtime.garbage import settle
from syncd.state import open_state
from syncd.stores.cloud import Cloud
from tests.bench.listing_server import etag_of, key_of, size_of

NAME, BUCKET = "bench", "s3://bench"
_XML = '<View><Image name="image" value="$image"/><Choices name="c" toName="image"><Choice value="a"/></Choices></View>'
_BATCH = 10_000


def bare(port: str) -> int:
    """obstore's own listing, in pages of 1,000, and nothing done with it."""
    store = S3Store(
        "bench",
        config={"endpoint": f"http://127.0.0.1:{port}", "skip_signature": True, "region": "us-east-1"},
        client_options={"allow_http": True},
    )
    return sum(len(page) for page in obstore.list(store, chunk_size=1_000))


def fill(state: str, count: str) -> int:
    """A state that knows all objects, each with its task."""
    return asyncio.run(_fill(state, int(count)))


async def _fill(path: str, count: int) -> int:
    state = await open_state(f"sqlite:///{path}", SystemClock(), exclusive=True)
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        await state.record([_record(number) for number in numbers])
    await state.close()
    return count


def _record(number: int) -> Record:
    ref = ObjectRef(BUCKET, key_of(number))
    return Record(NAME, ref, f"{number:032x}", str(number + 1), etag_of(number), size=size_of(number))


def join(state: str, port: str) -> int:
    """Reconcile's look at the bucket beside that state; how many objects it found in order."""
    return asyncio.run(_join(state, port))


async def _join(path: str, port: str) -> int:
    clock = SystemClock()
    options = {
        "aws_endpoint": f"http://127.0.0.1:{port}",
        "aws_access_key_id": "bench",
        "aws_secret_access_key": "bench",
        "aws_region": "us-east-1",
        "allow_http": "true",
    }
    store = Cloud(BUCKET, lambda: options, clock)
    state: Any = await open_state(f"sqlite:///{path}", clock, exclusive=True)
    dataset = Dataset(
        spec=DatasetSpec(NAME, NAME, _XML, (BUCKET,)),
        config=parse_label_config(_XML),
        policy=Policy(on_delete=OnDelete.RETIRE),
        snapshots=SnapshotPolicy(),
        annotator=MemoryAnnotator(clock),
        stores={BUCKET: store},
        routes=Routes([Route(NAME, BUCKET)]),
        state=state,
        clock=clock,
    )
    settle()  # as the daemon does
    found = await reconcile_objects(dataset, store, Caution(dry_run=True))
    await store.close()
    await state.close()
    assert (found.new, found.changed, found.gone, found.refused) == (0, 0, 0, ""), found
    assert found.known == found.seen
    return found.seen


def _peak_mb() -> float:
    """The most memory this process ever had; `ru_maxrss` would count that of the process it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


_RUNS: dict[str, Callable[..., int]] = {"bare": bare, "fill": fill, "join": join}

if __name__ == "__main__":
    begun = time.process_time()
    counted = _RUNS[sys.argv[1]](*sys.argv[2:])
    cpu = time.process_time() - begun
    most = _peak_mb()
    sys.stdout.write(f"{counted} {cpu:.3f} {most:.1f} {Path(sys.argv[0]).stem}\n")
