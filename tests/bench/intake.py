"""Events taken in: how soon and how many are acknowledged, beside a bare aiohttp handler and one fdatasync.

Called by `python -m tests.bench`. Servers (`intake_server`) are processes of their own on the same event loop
(asyncio's); this process makes the load. Every request is of another object, so each makes its subject in the state.
Sides take turns, and medians of rounds are compared. One connection says what an acknowledgement takes by itself, 64
say what a server can take, and 500 requests a second, sent when they are due, say how long some wait.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.bench import events, load
from tests.bench.goals import Goal
from tests.bench.intake_server import SECRET, TOKEN
from tests.label_studio import free_port

SERVERS = ("aiohttp",)

_TOUCHES = 300
_LINES = 64
_PER_SECOND = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured (default: 5)")
    parser.add_argument("--requests", type=int, default=5_000, help="of a round at 64 connections (default: 5,000)")
    parser.add_argument("--seconds", type=float, default=10, help="of a round at 500 requests/s (default: 10)")
    parser.add_argument("--kinds", nargs="+", default=["minio", "http", "webhook"], help="of events (default: all)")
    parser.add_argument("--folder", type=Path, help="where the state is (default: the system's temporary folder)")


def run(options: argparse.Namespace) -> list[Goal]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="syncd-bench-") as folder, ExitStack() as stack:
        sides = {kind: stack.enter_context(_served(kind, Path(folder))) for kind in ("bare", "ours", "single")}
        bench = Intake(Path(folder), sides["bare"], sides["ours"], sides["single"], options)
        return list(bench.goals(options.kinds))


@dataclass(frozen=True)
class Side:
    """One of the servers compared."""

    pid: int
    port: int
    webhook_secret: str = ""

    def cpu(self) -> float:
        """Seconds of processor it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Intake:
    """The bench: its sides, and which objects come next."""

    folder: Path
    bare: Side
    ours: Side
    single: Side
    options: argparse.Namespace
    _numbers: Iterator[int] = field(default_factory=count)

    def goals(self, kinds: list[str]) -> Iterator[Goal]:
        """Of every kind of events, one after the other."""
        for kind in kinds:
            sys.stderr.write(f"{kind}: one connection, {_LINES} connections, {_PER_SECOND} requests/s\n")
            makers = _makers(kind, self.ours.webhook_secret), _makers(kind, self.single.webhook_secret)
            self._warm_up(*makers)
            yield from self._alone(kind, makers[0])
            yield from self._together(kind, *makers)
            yield from self._paced(kind, makers[0])

    def _warm_up(self, ours: events.Maker, single: events.Maker) -> None:
        for side, maker in ((self.bare, ours), (self.ours, ours), (self.single, single)):
            load.one_by_one(side.port, self._made(maker, 200))

    def _alone(self, kind: str, maker: events.Maker) -> Iterator[Goal]:
        """One connection: our p50 beside the bare one's and that of a durable write."""
        ours, floor, beside = [], [], []
        for _ in range(self.options.rounds):
            bare = _p50(load.one_by_one(self.bare.port, self._made(maker, _TOUCHES)))
            sync = _p50(_syncs(self.folder / "touched"))
            ours.append(_p50(load.one_by_one(self.ours.port, self._made(maker, _TOUCHES))))
            floor.append(bare + sync)
            beside.append((bare, sync))
        bare, sync = (1e6 * statistics.median(times) for times in zip(*beside, strict=True))
        detail = f"{1e6 * statistics.median(ours):.0f} µs beside {bare:.0f} µs bare + {sync:.0f} µs fdatasync"
        ratio = _ratio(ours, floor)
        yield Goal(f"{kind}: ack p50, of bare + fdatasync", ratio, "times", 2.5, detail=detail)

    def _together(self, kind: str, maker: events.Maker, of_single: events.Maker) -> Iterator[Goal]:
        """64 connections: acknowledged per second, of the bare handler, and of a commit for each request."""
        many, few = self.options.requests, max(100, self.options.requests // 5)
        bare, ours, single = [], [], []
        cpu = self.bare.cpu(), self.ours.cpu()
        for _ in range(self.options.rounds):
            bare.append(load.saturated(self.bare.port, self._made(maker, many), _LINES))
            ours.append(load.saturated(self.ours.port, self._made(maker, many), _LINES))
            single.append(load.saturated(self.single.port, self._made(of_single, few), _LINES))
        each = 1e6 / (many * self.options.rounds)
        beside = f"{each * (self.ours.cpu() - cpu[1]):.0f} µs of CPU beside {each * (self.bare.cpu() - cpu[0]):.0f} µs"
        detail = f"{statistics.median(ours):,.0f}/s beside {statistics.median(bare):,.0f}/s; {beside}"
        yield Goal(f"{kind}: acks/s at {_LINES} connections, of bare", _ratio(ours, bare), "times", 0.35, True, detail)
        detail = f"{statistics.median(ours):,.0f}/s beside {statistics.median(single):,.0f}/s"
        yield Goal(f"{kind}: acks/s, of a commit per request", _ratio(ours, single), "times", 5, True, detail)

    def _paced(self, kind: str, maker: events.Maker) -> Iterator[Goal]:
        """500 a second, of all rounds together: late ones are few."""
        took: list[float] = []
        for _ in range(self.options.rounds):
            requests = self._made(maker, int(_PER_SECOND * self.options.seconds))
            took += load.paced(self.ours.port, requests, _PER_SECOND, _LINES)
        detail = f"{len(took):,} requests, sent when due; p50 {1e3 * _p50(took):.1f} ms, most {1e3 * max(took):.0f} ms"
        at = f"{kind}: at {_PER_SECOND} requests/s, ack"
        yield Goal(f"{at} p99", 1e3 * _quantile(took, 0.99), "ms", 100, detail=detail)
        yield Goal(
            f"{at} p99.9", 1e3 * _quantile(took, 0.999), "ms", 1_000, detail="Label Studio waits 1 s, then drops"
        )

    def _made(self, maker: events.Maker, many: int) -> list[bytes]:
        return events.made(maker, (next(self._numbers) for _ in range(many)))


def _makers(kind: str, webhook_secret: str) -> events.Maker:
    kinds: Mapping[str, Callable[[], events.Maker]] = {
        "minio": lambda: events.minio(TOKEN),
        "http": lambda: events.plain(SECRET),
        "webhook": lambda: events.webhook(webhook_secret),
    }
    return kinds[kind]()


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the pairs' ratios."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def _p50(took: list[float]) -> float:
    return statistics.median(took)


def _quantile(took: list[float], part: float) -> float:
    return sorted(took)[min(len(took) - 1, int(part * len(took)))]


def _syncs(path: Path) -> list[float]:
    """Seconds of appending 4 KiB and making them durable."""
    took: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_TOUCHES):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    return took


@contextmanager
def _served(kind: str, folder: Path) -> Iterator[Side]:
    """A server of this kind, on a state of its own."""
    home = folder / kind
    home.mkdir()
    command = [sys.executable, "-m", "tests.bench.intake_server", kind, str(home), str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield Side(server.pid, **json.loads(server.stdout.readline()))
        finally:
            server.kill()
