"""Requests made by our own OpenAPI description, right and wrong ones, to a running daemon: it answers as described.

schemathesis makes them: bodies that keep the schema and that break it in every place, other methods and content types,
no and wrong credentials; and holds each answer to the description. The same ones every time; `SYNCD_TORTURE=1` for
many more, by another seed each time.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bad_inputs.running import SECRETS, Running

FULL = bool(os.environ.get("SYNCD_TORTURE"))
EXAMPLES = ["--max-examples", "2000"] if FULL else ["--max-examples", "50", "--generation-deterministic"]
TOKEN = ["--header", f"Authorization: Bearer {SECRETS['APP_TOKEN']}"]
ALLOWED = (
    "negative_data_rejection",  # a bad event is kept for a person, and holds up no other in its body: 204
    "ignored_auth",  # it breaks one credential and leaves us the other, which is as good
)


@pytest.mark.parametrize("headers", [TOKEN, []], ids=["with the token", "without"])
def test_the_receiver_answers_as_its_description_says(
    daemon_process: Running, tmp_path: Path, headers: list[str]
) -> None:
    kept = "SELECT count(*) FROM quarantine WHERE source = 'app'"
    ((before,),) = daemon_process.asked(kept)
    settings = tmp_path / "schemathesis.toml"
    settings.write_text('[parameters]\nsource = "app"\n')
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(settings), "run", "--no-color",
               "--exclude-checks", ",".join(ALLOWED), *headers, *EXAMPLES,
               f"http://127.0.0.1:{daemon_process.port}/openapi.json"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    ((after,),) = daemon_process.asked(kept)
    assert (after > before) == bool(headers), "what was wrong in good ones is kept, and only of who may speak"
    assert "Traceback" not in daemon_process.log()
