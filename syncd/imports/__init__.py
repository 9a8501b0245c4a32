"""The way back: other people's annotation files, parsed into items that become tasks with answers.

One module for each family of formats, all over `base`; `answers` turns items into imported answers.
"""

from syncd.imports.answers import Prepared, prepare
from syncd.imports.base import Parser, careful
from syncd.imports.coco import parse_coco
from syncd.imports.conll import parse_conll
from syncd.imports.records import parse_csv, parse_huggingface, parse_jsonl
from syncd.imports.voc import parse_voc
from syncd.imports.yolo import parse_yolo

PARSERS: dict[str, Parser] = {
    "coco": careful(parse_coco),
    "yolo": careful(parse_yolo),
    "voc": careful(parse_voc),
    "conll": careful(parse_conll),
    "csv": careful(parse_csv),
    "jsonl": careful(parse_jsonl),
    "huggingface": careful(parse_huggingface),
}

__all__ = ["PARSERS", "Prepared", "prepare"]
