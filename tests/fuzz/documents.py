"""The targets that read no events: listings, manifests, texts and sidecars of buckets; answers and label configs.

Buckets and annotators hold what many people put there, so these readers too may raise no error but those they name.
"""

import gzip
import io
import json
import zlib
from contextlib import suppress
from typing import Any

import orjson

from syncd.annotators.label_studio.reading import task_content, task_lineage
from syncd.domain.checks import check, labels_of
from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.domain.labels import label_config
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.labels.task_data import json_task_data
from syncd.domain.manifests import linked_object, row_id
from syncd.domain.regions import read_regions
from syncd.domain.regions.rle import read_mask, write_mask
from syncd.snapshots.sealed import sealed, unsealed
from syncd.sources.bodies import _Packed
from syncd.sources.ceph import _password
from syncd.sources.oidc import _key_id
from syncd.sources.storage_queue import _body
from syncd.stores.pages import read_azure, read_gcs, read_s3
from syncd.stores.views.reading import rows
from tests.fuzz.targets import Target

_LIMIT = 1 << 20
_BOXES = parse_label_config(label_config("object-detection", ["cat", "dog"]))
_SPANS = parse_label_config(label_config("named-entities", ["PER"]))
_TEXT = parse_label_config(label_config("text-classification", ["a"]))


# ---------------------------------------------------------------- of buckets


def _listing(data: bytes) -> None:
    for read in (read_s3, read_azure, read_gcs):
        with suppress(Retryable):
            page = read(data)
            for key, etag, size, _ in page.entries:
                assert isinstance(key, str)
                assert etag is None or isinstance(etag, str)
                assert isinstance(size, int)


_S3 = b"""<?xml version="1.0"?><ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<Contents><Key>a%2Fb+c.jpg</Key><ETag>&quot;e&quot;</ETag><Size>5</Size></Contents>
<NextContinuationToken>n</NextContinuationToken></ListBucketResult>"""
_AZURE = b"""<?xml version="1.0"?><EnumerationResults><Blobs><Blob><Name Encoded="true">a%20b</Name><Properties>
<Etag>0x1</Etag><Content-Length>5</Content-Length></Properties></Blob></Blobs><NextMarker/></EnumerationResults>"""
_GCS = b'{"items": [{"name": "a", "etag": "CK", "size": "5", "generation": "17"}], "nextPageToken": "n"}'


def _manifest(data: bytes) -> None:
    """The first line is the key; each row can be told apart, linked and sent on."""
    name, _, body = data.partition(b"\n")
    key = name.decode("utf-8", "replace")
    with suppress(Rejected):
        for row in rows(key, body, limit=_LIMIT, most=100):
            orjson.dumps(row)
            with suppress(Rejected):
                assert row_id(row, None)
                linked_object(next(iter(row.values()), None), "file:///srv", ["s3://photos"])


_CSV = b'a.csv\nid,image\n1,s3://photos/a.jpg\n2,"b, c.jpg"\n'
_LINES = b'a.jsonl\n{"id": 1, "image": "s3://photos/a.jpg"}\n{"id": 2, "image": "b.jpg"}\n'


def _text(data: bytes) -> None:
    with suppress(Rejected):
        json.dumps(json_task_data(_TEXT, data.decode("utf-8", "replace")), ensure_ascii=False).encode()


def _seal(data: bytes) -> None:
    record = unsealed(data)
    assert record is None or sealed(record) == data


def _config(data: bytes) -> None:
    with suppress(ConfigError):
        assert parse_label_config(data.decode("utf-8", "replace")).hash


# ---------------------------------------------------------------- of annotators


def _answer(data: bytes) -> None:
    """Whatever Label Studio keeps as an answer is valid or invalid, and no error of ours."""
    try:
        result = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    for config in (_BOXES, _SPANS):
        verdict = check(result, config, {"text": "Ada met Bob"})
        assert verdict is None or (verdict and "\n" not in verdict)
        labels_of(result)
        if verdict is None:
            read_regions(result)


_BOX = {"id": "r", "type": "rectanglelabels", "from_name": "label", "to_name": "image", "original_width": 10,
        "original_height": 10, "value": {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0,
                                         "rectanglelabels": ["cat"]}}  # fmt: skip
_SPAN = {"id": "s", "type": "labels", "from_name": "label", "to_name": "text",
         "value": {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}}  # fmt: skip


def _task(data: bytes) -> None:
    """A task of a listing: ids are what the server must send, all else may be anything."""
    try:
        task: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    if isinstance(task, dict) and "id" in task:
        with suppress(_NoTask):
            _only_objects(task)
            task_content(task, [])
            task_lineage(task)


class _NoTask(Exception):
    """No server sends this: annotations and predictions are lists of objects with ids."""


def _only_objects(task: dict[str, Any]) -> None:
    for name in ("annotations", "predictions"):
        found = task.get(name) or []
        if not isinstance(found, list) or not all(isinstance(one, dict) and "id" in one for one in found):
            raise _NoTask


_TASK = {"id": 1, "data": {"image": "x", "syncd_key": "k"}, "meta": {"syncd": {}},
         "predictions": [{"id": 3, "result": []}],
         "annotations": [{"id": 2, "result": [_BOX], "completed_by": 1, "was_cancelled": False, "lead_time": 1.5,
                          "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
                          "parent_prediction": 3}]}  # fmt: skip


def _mask(data: bytes) -> None:
    with suppress(ValueError):
        assert len(read_mask(data, 4, 4)) == 16


# ---------------------------------------------------------------- of requests


def _packed(data: bytes) -> None:
    for wbits in (31, 15):
        with suppress(zlib.error):
            unpacked, left = _Packed(wbits), _LIMIT
            for piece in unpacked.pieces(data):
                assert piece
                left -= len(piece)
                if left < 0:
                    break
            else:
                unpacked.end()


def _credentials(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert isinstance(_key_id(text), str)
    assert all(isinstance(shown, str) for shown in _password(text))
    with suppress(Rejected):
        assert isinstance(_body(text), bytes)


def _gz(data: bytes) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(data)
    return packed.getvalue()


DOCUMENTS = [
    Target("listings", _listing, [_S3, _AZURE, _GCS]),
    Target("manifests", _manifest, [_CSV, _LINES, b"a.csv.gz\n" + _gz(_CSV.partition(b"\n")[2])]),
    Target("task-data", _text, [b'{"text": "a", "n": [1, {"b": null}]}', b'["a"]']),
    Target("sealed", _seal, [sealed({"version": 1, "at": 1.5, "tags": {"a": 1}})]),
    Target(
        "label-configs",
        _config,
        [label_config("object-detection", ["cat"]).encode(), label_config("ocr", ["a"]).encode()],
    ),
    Target("answers", _answer, [json.dumps([_BOX]).encode(), json.dumps([_SPAN]).encode()]),
    Target("tasks", _task, [json.dumps(_TASK).encode()]),
    Target("masks", _mask, [bytes(write_mask(bytes([0, 1] * 8)))]),
    Target("packed-bodies", _packed, [_gz(b"x" * 200_000), zlib.compress(b"{}"), zlib.compress(b"{}")[2:-4]]),
    Target(
        "credentials",
        _credentials,
        [b"Basic dXNlcjpwYXNz", b"eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AA", b'{"id": 1}', b"eyJpZCI6IDF9"],
    ),
]
