"""The way back: other people's annotation files, parsed into items that become tasks with answers.

One module for each family of formats, all over `base`; `answers` turns items into imported answers.
"""

from syncd.imports.answers import Prepared, prepare
from syncd.imports.base import Parser
from syncd.imports.coco import parse_coco
from syncd.imports.conll import parse_conll
from syncd.imports.records import parse_csv, parse_huggingface, parse_jsonl
from syncd.imports.voc import parse_voc
from syncd.imports.yolo import parse_yolo

PARSERS: dict[str, Parser] = {
    "coco": parse_coco,
    "yolo": parse_yolo,
    "voc": parse_voc,
    "conll": parse_conll,
    "csv": parse_csv,
    "jsonl": parse_jsonl,
    "huggingface": parse_huggingface,
}

__all__ = ["PARSERS", "Prepared", "prepare"]
