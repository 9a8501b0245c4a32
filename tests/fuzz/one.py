"""One reader under atheris, in a process of its own: `python -m tests.fuzz.one NAME FOLDER RUNS SEED`.

Called by `python -m tests.fuzz`. FOLDER takes `corpus/`, which grows, and `findings/`: for each error at each place the
first input that led there, and the error beside it. It does not end at a finding. libFuzzer ends the process.
"""

import hashlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["syncd"], enable_loader_override=False):
    from tests.fuzz.documents import DOCUMENTS
    from tests.fuzz.targets import EVENTS

from tests.fuzz.mutation import changed

_LONGEST = 1 << 14
_SLOWEST_S = 10
_MOST_MB = 2048


def _mutator(data: bytes, most: int, seed: int) -> bytes:
    """As JSON more often than as bytes: nearly all JSON whose bytes are changed is none."""
    chance = Random(seed)
    if chance.random() < 0.4:
        return bytes(atheris.Mutate(data, most))
    return changed(data, chance, most)


def _noting(try_: Callable[[bytes], None], findings: Path) -> Callable[[bytes], None]:
    seen: set[str] = set()

    def tried(data: bytes) -> None:
        try:
            try_(data)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            place = "".join(traceback.format_exception(error))
            name = hashlib.sha256(repr([type(error), _frames(error)]).encode()).hexdigest()[:12]
            if name not in seen:
                seen.add(name)
                (findings / f"{name}.input").write_bytes(data)
                (findings / f"{name}.error").write_text(place, "utf-8", errors="replace")

    return tried


def _frames(error: BaseException) -> list[tuple[str, int | None]]:
    return [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)][-3:]


if __name__ == "__main__":
    name, folder, runs, seed = sys.argv[1:]
    (target,) = [one for one in (*EVENTS, *DOCUMENTS) if one.name == name]
    corpus, findings = Path(folder, "corpus"), Path(folder, "findings")
    for made in (corpus, findings):
        made.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(target.samples):
        (corpus / f"sample-{number}").write_bytes(sample)
    flags = [f"-runs={runs}", f"-seed={seed}", f"-max_len={_LONGEST}", f"-timeout={_SLOWEST_S}",
             f"-rss_limit_mb={_MOST_MB}", f"-artifact_prefix={findings}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *flags, str(corpus)], _noting(target.try_, findings), custom_mutator=_mutator)
    atheris.Fuzz()
