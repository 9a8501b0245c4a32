"""A command that an event starts, such as a training. One of the targets of triggers.

No shell: a list of arguments, in which `{uri}`, `{dataset}`, `{version}` and `{tag}` are filled in. The event is its
standard input, as JSON. It runs in a process group of its own, under limits, once at a time for each trigger; what
it leaves running in its group is ended with it. Its output goes to a log file of bounded size.

Exit code 0: delivered. Anything else, and the timeout, is a failed try. When the daemon stops, the command gets
SIGTERM, then SIGKILL, and is started again with the next daemon. When the daemon is killed, the command runs on; the
next daemon waits for its end and starts it anew: at least once, but never twice at once on one host.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from syncd.domain.deliveries import Answer, Verdict
from syncd.domain.errors import ConfigError, Problem
from syncd.domain.model import JsonObject
from syncd.ports import Surroundings
from syncd.secrets import SecretRef, text_or_secret
from syncd.triggers import excerpts
from syncd.triggers.options import TriggerOptions
from syncd.triggers.output import Output
from syncd.triggers.process import Run, still_runs

PLACEHOLDERS = ("uri", "dataset", "version", "tag")
PASSED_ON = re.compile(r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR")
"""Variables of the daemon that a command gets. Others may hold secrets that are not meant for it."""
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class CommandOptions(TriggerOptions):
    """The options of a trigger of type `command`."""

    command: list[str] = Field(
        min_length=1,
        description="Program and arguments; {uri}, {dataset}, {version} and {tag} are filled in. No shell.",
    )
    folder: Path = Field(
        Path(),
        description="Where it runs; a relative path starts at the configuration file's folder.",
        validate_default=True,
    )
    environment: dict[str, Annotated[str | SecretRef, PlainValidator(text_or_secret)]] = Field(
        {}, description="Variables besides PATH, HOME, USER, locale and TZ: text, or where a secret is.", repr=False
    )
    timeout: float = Field(86_400.0, gt=0, le=30 * 86_400, description="Longest time it may run, seconds (1 day).")
    attempts: int = Field(1, ge=1, description="Tries after which it is given up.")
    memory_limit: int | None = Field(
        None, ge=1024 * 1024, description="Address space of each of its processes, bytes. Default: no limit."
    )
    cpu_limit: int | None = Field(
        None, ge=1, description="Processor time of each of its processes, seconds. Default: no limit."
    )
    output_limit: int = Field(1024 * 1024, ge=1024, description="Output kept of one run, bytes: beginning and end.")

    @field_validator("command")
    @classmethod
    def _known_placeholders(cls, command: list[str]) -> list[str]:
        for name in (name for argument in command for name in _PLACEHOLDER.findall(argument)):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
                raise ValueError(f"{{{name}}} is nothing that can be filled in; there are {known}")
        return command

    @field_validator("folder")
    @classmethod
    def _below_the_configuration(cls, folder: Path, info: ValidationInfo) -> Path:
        base: Path = (info.context or {}).get("base", Path())
        return base / folder.expanduser()

    @property
    def limits(self) -> dict[str, int]:
        """The limits that are set, as `limited` knows them."""
        chosen = {"memory": self.memory_limit, "cpu": self.cpu_limit}
        return {name: limit for name, limit in chosen.items() if limit is not None}


class Command:
    """Runs one command for each event."""

    Options = CommandOptions

    def __init__(self, options: CommandOptions, surroundings: Surroundings) -> None:
        self.attempts: int | None = options.attempts
        self._options = options
        self._field = f"datasets.{surroundings.dataset}.triggers.{surroundings.trigger}"
        self._folder = surroundings.folder

    async def check(self) -> None:
        """ConfigError: there is no such program or folder, or a secret is missing."""
        if not self._options.folder.is_dir():
            raise ConfigError([Problem(f"{self._field}.folder", str(self._options.folder), "must be a folder")])
        program = self._options.command[0]
        there = shutil.which(str(self._options.folder / program) if "/" in program else program)
        if not there and not _PLACEHOLDER.search(program):
            raise ConfigError([Problem(f"{self._field}.command", repr(program), "must be a program that can be run")])
        self._configured()

    async def deliver(self, event: JsonObject) -> Answer:
        """Run it once and wait for its end, however long that takes."""
        configured = self._configured()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self._folder / "lock"
        if still_runs(lock):
            return Answer(Verdict.BUSY, "it still runs: the daemon that started it was killed")
        run = Run(
            filled_in(self._options.command, event),
            self._options.folder,
            _passed_on(os.environ) | configured,
            lock,
            self._options.timeout,
            self._options.limits,
        )
        try:
            with Output(self._log_of(event), self._options.output_limit) as output:
                code = await run(orjson.dumps(event), output)
        except OSError as error:
            return Answer(Verdict.FAILED, f"it cannot be started: {error.strerror}")
        excerpt = excerpts.end(output.last, configured.values(), whole=output.whole)
        verdict = Verdict.DELIVERED if code == 0 else Verdict.FAILED
        return Answer(verdict, self._outcome(code), excerpt, str(output.path))

    async def close(self) -> None:
        """Nothing is left open."""

    def _configured(self) -> dict[str, str]:
        return {
            name: value.read(f"{self._field}.environment.{name}") if isinstance(value, SecretRef) else value
            for name, value in self._options.environment.items()
        }

    def _log_of(self, event: JsonObject) -> Path:
        """A file for each run, such as `v7-20260131T120000Z.log`."""
        started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return self._folder / f"{event['id'].split('/')[1]}-{started}.log"

    def _outcome(self, code: int | None) -> str:
        if code is None:
            return f"ended after its timeout of {self._options.timeout:g} s"
        return f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"


def filled_in(command: list[str], event: JsonObject) -> list[str]:
    """The arguments with their placeholders filled in; `{tag}` is empty where no tag was moved."""
    data = event["data"]
    return [_PLACEHOLDER.sub(lambda found: str(data.get(found[1], "")), argument) for argument in command]


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if PASSED_ON.fullmatch(name)}
