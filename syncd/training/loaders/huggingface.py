"""Rows as a Hugging Face Dataset: the extra `huggingface`. Called by `Snapshot.to_hf`.

Media become a column of the library's own kind (`Image`, `Audio`, `Video`), whose paths are addresses that
`media_files` opens: lazily, through the media cache, at the version that was labelled. So `map`, `with_transform`,
`save_to_disk` and `push_to_hub` do with it what they do with any image.
"""

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from syncd.domain.errors import Rejected
from syncd.training.extras import required
from syncd.training.media import MEDIA_COLUMNS, MediaRef
from syncd.training.query import Query, columns_of

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

_KINDS = {"image": "Image", "audio": "Audio", "video": "Video"}
_SPLIT = re.compile(r"\w+(\.\w+)*")  # what datasets takes for the name of a split
_STORED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def to_hf(snapshot: "Snapshot", query: Query, media: bool | str) -> Any:
    """The rows as a `datasets.Dataset`; JSON columns stay text.

    `media`: "image", "audio" or "video" add a column of that name, decoded on access (None where a row has no
    object); True takes the kind from the label config. The fingerprint says which rows of which version these are.
    """
    datasets = required("datasets", "huggingface")
    kind = _kind(snapshot, media) if media else None
    columns = columns_of(query, snapshot.schema.names)
    read = query if kind is None else {**query, "columns": list(dict.fromkeys([*columns, *MEDIA_COLUMNS]))}
    table = snapshot.to_arrow(**read).replace_schema_metadata(None)
    features = datasets.Features.from_arrow_schema(table.schema)
    if kind:
        table = table.append_column(kind, _addresses(snapshot, table)).select([*columns, kind])
        features = datasets.Features(
            {**{name: features[name] for name in columns}, kind: getattr(datasets, _KINDS[kind])()}
        )
    split = query.get("split")
    return datasets.Dataset(
        table,
        info=datasets.DatasetInfo(description=snapshot.uri, features=features, dataset_name=snapshot.dataset),
        split=datasets.NamedSplit(split) if split and _SPLIT.fullmatch(split) else None,
        fingerprint=_fingerprint(snapshot, columns, query, kind),
    )


def _kind(snapshot: "Snapshot", media: bool | str) -> str:
    kind = media if isinstance(media, str) else _configured(snapshot)
    if kind not in _KINDS:
        hint = f"pass media= one of {', '.join(_KINDS)}, or open it by snapshot.media(row)"
        raise Rejected(
            f"{snapshot.uri} has media of kind {kind!r}, which is no column of a Hugging Face dataset: {hint}"
        )
    return kind


def _configured(snapshot: "Snapshot") -> str:
    return snapshot.label_config.media_kind if snapshot.label_config else "unknown"


def _addresses(snapshot: "Snapshot", table: Any) -> Any:
    from syncd.training.loaders.media_files import address, serve  # noqa: PLC0415 - needs fsspec, which datasets brings

    serve(snapshot.buckets)
    refs = [MediaRef.find(row) for row in table.select(MEDIA_COLUMNS).to_pylist()]
    return pa.array([None if ref is None else {"bytes": None, "path": address(ref)} for ref in refs], _STORED)


def _fingerprint(snapshot: "Snapshot", columns: list[str], query: Query, kind: str | None) -> str:
    hasher = required("datasets.fingerprint", "huggingface").Hasher
    asked = sorted((name, str(value)) for name, value in query.items() if name != "columns")
    return str(hasher.hash([snapshot.uri, snapshot.info.created_at, columns, asked, kind]))
