"""What the daemon carries: it loads no library that its configuration does not use, and stays small."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

HEAVY = (
    "aiobotocore", "asyncpg", "azure", "botocore", "google", "label_studio_sdk.label_interface", "lance", "mlflow",
    "numpy", "opentelemetry", "pandas", "PIL", "plotly", "pyarrow", "sqlalchemy.orm", "torch",
)  # fmt: skip
"""What some configurations need, or work that comes later: snapshots load Lance with their first table."""
MOST_MB = 150
"""Resident, with the shared pages of libraries; it was 210 MB when Lance and Arrow were loaded at the start."""

_OPENED = """
import asyncio, json, sys
from pathlib import Path
from syncd.config import load_config
from syncd.service import daemon
from syncd.service.assembly import assemble

async def main():
    async with assemble(load_config(Path(sys.argv[1]), {}), exclusive=True) as parts:
        for store in parts.snapshots.values():
            await store.probe()
            await store.newest("fruits")
            assert not await store.maintain("fruits")
        lines = Path("/proc/self/status").read_text().splitlines()
        (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        print(json.dumps({"peak_mb": peak * 1024 / 1e6, "modules": sorted(sys.modules)}))

asyncio.run(main())
"""
_FOLDER = """
    [sources.fruits]
    type = "folder"
    path = "{home}/files"
"""
_BUCKET = """
    [buckets.fruits]
    url = "s3://fruits"
    [sources.fruits]
    type = "minio"
    buckets = ["fruits"]
    tokens = [{{ file = "{home}/token" }}]
"""


@pytest.mark.parametrize(("source", "used"), [(_FOLDER, set()), (_BUCKET, {"aiobotocore", "botocore"})])
def test_the_daemon_loads_only_what_its_configuration_uses(source: str, used: set[str], tmp_path: Path) -> None:
    """A source, Label Studio, and snapshots of which there are none yet."""
    (tmp_path / "files").mkdir()
    (tmp_path / "token").write_text("no-server-asks-for-it")
    (tmp_path / "token").chmod(0o600)
    config = tmp_path / "syncd.toml"
    common = """
    data_dir = "{home}/data"
    [annotators.studio]
    type = "label-studio"
    url = "http://127.0.0.1:9"
    token = {{ file = "{home}/token" }}
    [datasets.fruits]
    annotator = "studio"
    sources = ["fruits"]
    task = "image-classification"
    labels = ["apple", "pear"]
    """
    config.write_text(dedent((common + source).format(home=tmp_path)))
    command = [sys.executable, "-c", _OPENED, str(config)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    loaded = {name for name in HEAVY if name in told["modules"]}
    assert loaded <= used, f"loaded without need: {sorted(loaded - used)}"
    assert told["peak_mb"] <= MOST_MB
