"""One seed, from the first write to the reconciled end. Used by `__main__` and `tests/test_simulation.py`."""

import asyncio
import logging
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from syncd.ports import StateStore
from syncd.state import open_state
from tests.clock import FakeClock
from tests.flows.world import NAME
from tests.simulate.expected import wrongs
from tests.simulate.processes import Process
from tests.simulate.scheduler import DONE, Parked, Scheduler, VirtualLoop
from tests.simulate.surroundings import LaggingAnnotator, Surroundings
from tests.simulate.world import SimulatedWorld

Weights = dict[str, float]
STEPS = 500
OFTEN = {"import_tasks": 4, "commit": 4, "amend": 4, "fulfil": 3, "stage": 2, "retire": 4, "restore": 4, "claim": 0.3}
OFTEN |= {"give": 4, "given": 4, "deliver": 4, "announce": 4}
"""How much more often than others a call meets a fault."""
QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a disk's writes cost nothing."""
NAPS = (1.0, 5.0, 20.0, 61.0, 300.0)
"""How far the clock goes at once (s) while no process has anything under way."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed: what is wrong (nothing, it is hoped), every step, and how often what happened."""

    seed: int
    title: str
    wrongs: list[str]
    trace: list[str]
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def again(self) -> str:
        """How to see this seed again."""
        options = {"paused": " --paused", "on SQLite": " --sql"}
        chosen = "".join(option for word, option in options.items() if word in self.title)
        return f"python -m tests.simulate --seed {self.seed}{chosen}"


def simulate(seed: int, *, paused: bool = False, sql: bool = False) -> Outcome:
    """Play one seed.

    `paused`: processes may sleep past their leases, and imports take as long as they like. `sql`: on SQLite instead of
    the state in memory.
    """
    clock = FakeClock()
    before, quiet = random.getstate(), structlog.get_config()
    random.seed(seed)  # the product's jitter
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
            return runner.run(_on_sql(seed, clock, paused) if sql else Simulation(seed, clock, paused=paused).run())
    finally:
        random.setstate(before)
        structlog.configure(**quiet)


async def _on_sql(seed: int, clock: FakeClock, paused: bool) -> Outcome:
    """In a file that is not worth a disk's time."""
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        state = await open_state(Path(folder) / "state.db", clock)
        try:
            return await Simulation(seed, clock, paused=paused, state=state).run()
        finally:
            await state.close()


class Simulation:
    """The world of one seed, and the choices that the seed makes in it."""

    def __init__(self, seed: int, clock: FakeClock, *, paused: bool, state: StateStore | None = None) -> None:
        self.seed, self.clock, self.paused = seed, clock, paused
        self.chance = random.Random(seed)
        self.scheduler = Scheduler(clock)
        self.wrongs: list[str] = []
        self.faults = self.chance.choice((0.0, 0.02, 0.05, 0.15))
        self.crashes = self.chance.choice((0.0, 0.005, 0.02))
        self.world = self._world(state)
        self.around = Surroundings(self.world, self.chance, self.scheduler.note)
        self.world.store = self.around.bucket
        self.world.connect()
        self.world.opened()
        self.processes: list[Process] = []
        self.asleep: Counter[str] = Counter()
        """For how many steps more a process does nothing, as under SIGSTOP."""

    def _world(self, state: StateStore | None) -> SimulatedWorld:
        world = SimulatedWorld(self.chance, self.clock, state)
        lag = self.chance.choice((0.0, 0.5, 10.0))
        world.annotator = LaggingAnnotator(self.clock, lag, self._imported)
        world.dataset = replace(world.dataset, annotator=world.annotator)
        self.title = f"{world.on_change} {world.on_delete} {world.kind}, lag {lag}"
        self.title += f", faults {self.faults}, crashes {self.crashes}" + (", on SQLite" if state else "")
        if self.paused:
            self.title += ", paused"
        return world

    def _imported(self) -> None:
        """Where no process sleeps past its lease, nothing is ever made twice, not even for a moment."""
        keys = Counter(task.new.task_key for task in self.world.person.work.values())
        if not self.paused and (twice := [key for key, count in keys.items() if count > 1]):
            self.wrongs.append(f"{len(twice)} tasks were made twice")

    # ------------------------------------------------------------ the run

    async def run(self) -> Outcome:
        """Play, come to rest, and look."""
        for number in range(self.chance.randint(1, 3)):
            self.processes.append(Process(f"process-{number + 1}", self.world, self.scheduler))
        await self.scheduler.settle()
        for _ in range(STEPS):
            await self._step()
            for process in self.processes:
                process.check()
        await self._come_to_rest()
        self.wrongs += await wrongs(self.world, self.around)
        return Outcome(self.seed, self.title, self.wrongs, self.scheduler.trace, self.scheduler.counts)

    async def _step(self) -> None:
        weights: Weights = {
            "goes on": 14,
            "bucket": 0.8,
            "person": 0.9,
            "notification": 2,
            "time": 1.5,
            "import": 0.2,
            "look": 0.15,
            "sleep": 0.5 if self.paused else 0,
            "late": 0.5 if self.scheduler.late else 0,
        }
        what = self.chance.choices(list(weights), list(weights.values()))[0]
        match what:
            case "goes on":
                await self._goes_on()
            case "bucket":
                await (self.around.write if self.chance.random() < 0.7 else self.around.delete)()
            case "person":
                await self.around.work()
            case "import":
                await self.around.bring()
            case "notification":
                await self.around.notify()
            case "time":
                await self._time_passes()
            case "look":
                self.chance.choice(self.processes).look()
                await self.scheduler.settle()
            case "sleep":
                self._fall_asleep()
            case _:
                await self.scheduler.finish_one_late(self.chance.randrange(len(self.scheduler.late)))

    async def _goes_on(self) -> None:
        """One of the calls that wait goes on, mostly one that is under way."""
        self.asleep -= Counter(set(self.asleep))
        awake = [waiting for waiting in self.scheduler.parked if waiting.process not in self.asleep]
        busy = [waiting for waiting in awake if not waiting.rests]
        resting = [waiting for waiting in awake if waiting.rests] if await self._anything_due() else []
        among = busy if not resting or (busy and self.chance.random() < 0.85) else resting
        if not among:
            return
        waiting = self.chance.choice(among)
        if not waiting.rests and self._strikes(waiting, self.crashes):
            await self._crash(waiting)
        else:
            await self.scheduler.let(waiting, self._verdict(waiting))

    async def _anything_due(self) -> bool:
        return await self.world.first_ready() <= self.clock.now()

    def _strikes(self, waiting: Parked, rate: float) -> bool:
        """Whether a fault comes now. They fall where something is changed, and most on what is rare."""
        return self.chance.random() < rate * self._often(waiting)

    def _often(self, waiting: Parked) -> float:
        return OFTEN.get(waiting.call.removesuffix(DONE), 1 if waiting.writes else 0.5)

    def _verdict(self, waiting: Parked) -> str:
        if waiting.rests or not self._strikes(waiting, self.faults):
            return "go"
        if waiting.call.endswith(DONE):
            return "lost"
        return self.chance.choice(("refused", "reset", "late") if waiting.late else ("refused", "reset"))

    async def _time_passes(self) -> None:
        """A little while something is under way: as long as no process sleeps, no lease runs out under it."""
        busy = any(not waiting.rests for waiting in self.scheduler.parked)
        if busy and not (self.paused and self.chance.random() < 0.5):
            self.clock.advance(self.chance.uniform(0.0, 0.4))
        else:
            if not self.paused:
                await self.scheduler.finish_late()
            self.clock.advance(self.chance.choice(NAPS))
        await self.scheduler.settle()

    def _fall_asleep(self) -> None:
        """A process sleeps, just before or after it changes something."""
        writing = [waiting for waiting in self.scheduler.parked if waiting.writes]
        if writing:
            waiting = self.chance.choices(writing, [self._often(waiting) for waiting in writing])[0]
            self.asleep[waiting.process] = self.chance.randint(20, 200)
            self.scheduler.note(waiting.process, f"falls asleep at: {waiting.call}")

    async def _crash(self, waiting: Parked) -> None:
        """The process of a call dies before that call, or after it, and is started again."""
        index, process = next((i, p) for i, p in enumerate(self.processes) if p.name == waiting.process)
        sent = [w.late for w in self.scheduler.parked if w.process == process.name and w.late]
        self.scheduler.late += [effect for effect in sent if self.chance.random() < 0.5]
        self.scheduler.count(waiting.call, "crash")
        self.scheduler.note(process.name, f"dies at: {waiting.call}")
        await process.kill()
        self.processes[index] = Process(process.name, self.world, self.scheduler)
        await self.scheduler.settle()

    # ------------------------------------------------------------ the end

    async def _come_to_rest(self) -> None:
        """Faults end, what is under way is finished, and all is looked at until there is nothing new."""
        self.faults = 0.0
        while busy := [waiting for waiting in self.scheduler.parked if not waiting.rests]:
            await self.scheduler.let(self.chance.choice(busy), "go")
        await self.scheduler.finish_late()
        for process in self.processes:
            process.check()
            await process.kill()
        self.scheduler.note("world", "comes to rest")
        self.clock.advance(700)
        for _ in range(3):
            await self.world.look(force=True)
            await self.world.work(seconds=70)
        assert await self.world.state.get(f"remote:{NAME}")
