"""Realistic rows in large numbers: about 1 kB each, 0.6 to 2 kB of it the JSON of rectangles a person drew."""

import hashlib
import random
from collections.abc import Iterable

import orjson

from syncd.domain.model import Row, RowStatus, StagedChange

_LABELS = ("apple", "banana", "cherry", "damson")
_REGIONS = 60_000
_MOST = 9


def _region(chance: random.Random) -> bytes:
    """One rectangle as Label Studio writes it, without the brackets of its list."""
    label = chance.choice(_LABELS)
    sides = {side: chance.uniform(0, 50) for side in ("x", "y", "width", "height")}
    region = {
        "id": f"{chance.getrandbits(40):010x}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": 1920,
        "original_height": 1080,
        "value": {**sides, "rotation": 0, "rectanglelabels": [label]},
    }
    return orjson.dumps(region)


class Rows:
    """Rows by number; the same seed, number and generation give the same row. `regions` are drawn once."""

    def __init__(self, seed: int = 1) -> None:
        chance = random.Random(seed)
        self._regions = [_region(chance).decode() for _ in range(_REGIONS)]

    def put(self, number: int, generation: int = 0) -> StagedChange:
        """The row came, or changed in this generation."""
        made = self._row(number, generation)
        return StagedChange(made.annotation_id, made.task_id, made)

    def puts(self, numbers: Iterable[int], generation: int = 0) -> list[StagedChange]:
        """Several of them."""
        return [self.put(number, generation) for number in numbers]

    @staticmethod
    def gone(number: int) -> StagedChange:
        """The annotation was deleted."""
        return StagedChange(str(number), str(number), None)

    def _row(self, number: int, generation: int) -> Row:
        digest = hashlib.sha256(b"%d %d" % (number, generation)).hexdigest()
        first, count = int(digest[:8], 16) % (_REGIONS - _MOST), 3 + int(digest[8:10], 16) % (_MOST - 2)
        key = f"fruits/{number:09}.jpg"
        uri = f"s3://photos/{key}"
        return Row(
            annotation_id=str(number),
            task_id=str(number),
            status=RowStatus.SUBMITTED,
            invalid_reason=None,
            annotator=f"person-{number % 20}@example.org",
            ground_truth=False,
            labels=(_LABELS[number % 4],),
            result=f"[{','.join(self._regions[first : first + count])}]",
            data=f'{{"image":"{uri}"}}',
            object_uri=uri,
            bucket="s3://photos",
            key=key,
            etag=digest[:32],
            version_id=None,
            retired=False,
            label_config_hash="c" * 64,
            lead_time=number % 60 + 0.5,
            created_at="2026-11-20T18:00:00Z",
            updated_at="2026-11-20T18:00:00Z",
            prediction_id=None,
            model_version=None,
            prediction=None,
            digest=digest,
        )
