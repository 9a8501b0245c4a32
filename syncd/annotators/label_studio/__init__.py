"""Label Studio as an annotator, and a local one managed by syncd."""

from syncd.annotators.label_studio.options import LabelStudioOptions, StorageLink
from syncd.annotators.label_studio.server import LabelStudio

__all__ = ["LabelStudio", "LabelStudioOptions", "StorageLink"]
