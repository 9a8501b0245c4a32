"""Croissant metadata of one version: JSON-LD that `mlcroissant` loads and validates.

Called by `Snapshot.croissant` (the files of the Lance table) and by the Parquet export (its shards, whose records
`mlcroissant` reads). Croissant 1.0, which its newer readers take too: https://docs.mlcommons.org/croissant/docs/croissant-spec.html

Each file is a FileObject with its sha256, which the format demands; all of them are one FileSet without `containedIn`
whose `includes` is the list of the files, so that no other file that lies beside them is read. The version is the
number of `vN` as N.0.0. `license`, `citeAs` and `url` are there where `About` knows them; without, `mlcroissant` warns
of the first two and of nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from syncd.domain.model import JsonObject, VersionInfo
from syncd.training.describe.about import About, DataFile

LANCE = "https://lance.org/"
PARQUET = "application/x-parquet"

_CONTEXT: JsonObject = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "extract", "field", "fileProperty", "fileObject", "fileSet", "format", "includes",
            "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
            "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}  # fmt: skip
_TYPES = {"bool": "sc:Boolean", "double": "sc:Float", "int64": "sc:Integer", "int32": "sc:Integer"}


@dataclass(frozen=True, slots=True)
class Files:
    """The files with the rows. `encoding`: their media type, or a URL that says what they are."""

    files: Sequence[DataFile]
    encoding: str

    def described(self, file: DataFile) -> JsonObject:
        """One of them."""
        return {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path.rpartition("/")[2],
            "contentUrl": file.path,
            "contentSize": f"{file.size} B",
            "encodingFormat": self.encoding,
            "sha256": file.sha256,
        }

    @property
    def together(self) -> JsonObject:
        """All of them, by name."""
        paths = [file.path for file in self.files]
        head = {"@type": "cr:FileSet", "@id": "files", "name": "files"}
        return {**head, "encodingFormat": self.encoding, "includes": paths}


def croissant(info: VersionInfo, schema: Any, files: Files, about: About, labels: Iterable[str] = ()) -> JsonObject:
    """The metadata as a JSON object. `schema`: the files' `pyarrow.Schema`."""
    made: JsonObject = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": info.dataset,
        "version": f"{info.number}.0.0",
        "description": about.description or default_description(info, labels),
        "datePublished": published(info),
        "keywords": list(about.keywords) or ["annotations", info.dataset],
        "distribution": [*map(files.described, files.files), files.together],
        "recordSet": [_record_set(schema)],
    }
    known: JsonObject = {
        "license": about.license,
        "url": about.homepage,
        "citeAs": about.citation,
        "creator": [{"@type": "sc:Organization", "name": name} for name in about.creators],
    }
    return made | {name: value for name, value in known.items() if value}


def default_description(info: VersionInfo, labels: Iterable[str]) -> str:
    """What can be said of a version that nobody described."""
    named = ", ".join(labels)
    rows = info.by_status.get("submitted", 0)
    return f"Human annotations of the dataset {info.dataset}, version {info.name}: {rows:,} submitted answers" + (
        f", with the labels {named}." if named else "."
    )


def published(info: VersionInfo) -> str:
    """When the version was made, to the second, in UTC."""
    return datetime.fromtimestamp(int(info.created_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _record_set(schema: Any) -> JsonObject:
    return {
        "@type": "cr:RecordSet",
        "@id": "annotations",
        "name": "annotations",
        "description": "A row for each answer of a person to a task.",
        "key": {"@id": "annotations/annotation_id"},
        "field": [_field(column) for column in schema],
    }


def _field(column: Any) -> JsonObject:
    repeated = hasattr(column.type, "value_type")
    type_ = str(column.type.value_type if repeated else column.type)
    made = {
        "@type": "cr:Field",
        "@id": f"annotations/{column.name}",
        "name": column.name,
        "description": (column.metadata or {}).get(b"description", b"").decode(),
        "dataType": "sc:DateTime" if type_.startswith("timestamp") else _TYPES.get(type_, "sc:Text"),
        "source": {"fileSet": {"@id": "files"}, "extract": {"column": column.name}},
    }
    return made | ({"repeated": True} if repeated else {})
