"""JSON lines: every row with all its columns, one JSON object a line, in `annotations.jsonl`. Nothing is lost.

`data`, `result` and `prediction` are JSON values, times are UTC as `2026-11-20T18:00:00Z`. `regions` is the answer once
more in neutral terms (pixels, characters, seconds), as `domain.regions` has them.
"""

from pathlib import Path

from syncd.exports.base import Format, Source
from syncd.exports.plain import json_text, plain
from syncd.exports.texts import text_under


def _write(source: Source, out: Path) -> None:
    with (out / "annotations.jsonl").open("wb") as file:
        for item in source.items():
            regions = [plain(region, text_under(source.config, item.row["data"], region)) for region in item.regions]
            file.write(json_text({**item.row, "regions": regions}) + b"\n")


FORMAT = Format("jsonl", "JSON lines: every row with all its columns", _write, lambda _source: None, per_task=False)
