"""A process that opens and reads versions, to be given damaged ones: Lance may end the process on them.

usage: python -m tests.snapshots.damaged_reader; reads a snapshot URI a line, prints what came of it a line:
`rows DIGEST`, or the error's class and text.
"""

import hashlib
import sys

import syncd


def outcome(uri: str) -> str:
    """What a person sees."""
    try:
        rows = syncd.open_snapshot(uri).to_arrow(status="all")
        return f"rows {hashlib.sha256(repr(rows.to_pylist()).encode()).hexdigest()}"
    except BaseException as error:  # noqa: BLE001 - that is the question
        return f"{type(error).__name__} {str(error)!r}"


def main() -> None:
    """Answer until there is nothing to answer."""
    for line in sys.stdin:
        sys.stdout.write(outcome(line.strip()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
