"""What a version is, in words and for machines: a dataset card (Markdown) and Croissant metadata (JSON-LD).

Called by `Snapshot.card` and `Snapshot.croissant`, by exports and by `syncd snapshot describe`. What the table cannot
know (licence, creators …) comes as `About`. The same version, described alike, gives the same bytes.
"""

from syncd.training.describe.about import About, DataFile

__all__ = ["About", "DataFile"]
