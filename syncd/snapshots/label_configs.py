"""The label configs that a dataset's rows were given under: kept once each beside the table, by their hash.

Written by `commit`, read by the training side: exports need the labels in their order, also those nobody used.
"""

from syncd.domain.model import digest
from syncd.snapshots.location import Root


def keep_label_config(root: Root, dataset: str, canonical: str) -> str:
    """Keep it, if it is not kept yet; returns its hash. Never overwritten: same hash, same text."""
    hash_ = digest(canonical)
    root.create(_path(dataset, hash_), canonical.encode())
    return hash_


def read_label_config(root: Root, dataset: str, hash_: str) -> str | None:
    """The canonical XML of a label config; None where it is not there."""
    data = root.read(_path(dataset, hash_))
    return None if data is None else data.decode()


def _path(dataset: str, hash_: str) -> str:
    return f"{dataset}/label-configs/{hash_}.xml"
