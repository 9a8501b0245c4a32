"""A version as MLflow knows data: `SnapshotDataset`, and its source, which opens it again.

Called by `mlflow` and, through the entry point `mlflow.dataset_source`, by MLflow: `mlflow.data.get_source(input)
.load()` is the Snapshot a run was given. The only module that needs MLflow to be imported; whoever imports
`mlflow.data` where syncd is installed imports it too, so it loads nothing else of syncd before it must.
https://mlflow.org/docs/latest/ml/plugins/
"""

from typing import TYPE_CHECKING, Any

import orjson
from mlflow.data.dataset import Dataset
from mlflow.data.dataset_source import DatasetSource

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

SOURCE_TYPE = "syncd"


class SnapshotSource(DatasetSource):  # type: ignore[misc]
    """Where a version is: its URI, pinned to `vN`. No credentials are kept."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @staticmethod
    def _get_source_type() -> str:
        return SOURCE_TYPE

    def load(self, **options: Any) -> "Snapshot":
        """The snapshot; `options` are those of `syncd.open_snapshot`, and its errors."""
        from syncd.training.reader import open_snapshot  # noqa: PLC0415 - as the module says

        return open_snapshot(self.uri, **options)

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return False  # never guessed: `log_to_mlflow` makes it

    @classmethod
    def _resolve(cls, raw_source: Any) -> "SnapshotSource":
        raise NotImplementedError("log_to_mlflow makes it")

    def to_dict(self) -> dict[str, Any]:
        """As MLflow keeps it."""
        return {"uri": self.uri}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> "SnapshotSource":
        """The inverse of `to_dict`."""
        return cls(source_dict["uri"])


class SnapshotDataset(Dataset):  # type: ignore[misc]
    """A version as an input of a run. `digest`: as `Snapshot.digest`; `profile`: what was counted of it."""

    def __init__(self, snapshot: "Snapshot", digest: str, counted: dict[str, Any]) -> None:
        self._columns = {field.name: str(field.type) for field in snapshot.schema}
        self._counted = counted
        super().__init__(SnapshotSource(snapshot.uri), name=f"{snapshot.dataset}@{snapshot.name}", digest=digest)

    def _compute_digest(self) -> str:
        raise NotImplementedError("the digest is always given")

    @property
    def schema(self) -> dict[str, str]:
        """Column → Arrow type."""
        return self._columns

    @property
    def profile(self) -> dict[str, Any]:
        """Rows by status and split."""
        return self._counted

    def to_dict(self) -> dict[str, str]:
        """As MLflow keeps it."""
        texts = {"schema": orjson.dumps(self.schema).decode(), "profile": orjson.dumps(self.profile).decode()}
        return {**super().to_dict(), **texts}
