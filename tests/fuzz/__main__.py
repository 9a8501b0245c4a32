"""`python -m tests.fuzz`: so many inputs to each reader, and a row for each; exit 1 where one broke.

Every reader runs under atheris in a process of its own, at the lowest priority. What is found is kept below `--folder`
with the error beside it; `--parser NAME --input FILE` gives one input to its reader again, in this process.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.documents import DOCUMENTS
from tests.fuzz.targets import EVENTS

TARGETS = {target.name: target for target in (*EVENTS, *DOCUMENTS)}


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="so many to each reader")
    parser.add_argument("--parser", action="append", choices=TARGETS, help="only this reader; may come again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where corpora grow and findings are kept; else a temporary one")
    parser.add_argument("--input", type=Path, help="a file: give it to the reader named, and no more")
    told = parser.parse_args(arguments)
    if told.input:
        TARGETS[told.parser[0]].try_(told.input.read_bytes())
        return 0
    folder = told.folder or Path(tempfile.mkdtemp(prefix="syncd-fuzz-"))
    return run(told.parser or list(TARGETS), told.inputs, told.seed, folder)


def run(names: Sequence[str], inputs: int, seed: int, folder: Path) -> int:
    """Each of them in turn, with a line of a Markdown table."""
    _say("| reader | inputs | seconds | edges reached | findings |\n|---|---|---|---|---|")
    found = 0
    for name in names:
        started = time.monotonic()
        command = [sys.executable, "-m", "tests.fuzz.one", name, str(folder / name), str(inputs), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, preexec_fn=_last)
        runs = re.findall(r"^Done (\d+) runs", done.stderr, re.MULTILINE)
        errors = sorted((folder / name / "findings").glob("*"))
        errors = [error for error in errors if error.suffix != ".input"]
        edges = re.findall(r"cov: (\d+)", done.stderr) or ["?"]
        took = time.monotonic() - started
        _say(f"| {name} | {runs[0] if runs else 'ended'} | {took:.0f} | {edges[-1]} | {len(errors)} |")
        if not runs:
            _say(done.stderr[-3000:])
        found += len(errors) + (not runs)
    _say(f"\n{found} findings" + (f", below {folder}" if found else ""))
    return int(found > 0)


def _last() -> None:
    """Everything else comes first."""
    os.nice(19)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
