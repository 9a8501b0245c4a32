"""A Label Studio on this machine, for one person trying things out."""

from syncd.annotators.label_studio.local.install import LABEL_STUDIO_VERSION
from syncd.annotators.label_studio.local.server import LocalLabelStudio, Running, Status, default_data_dir

__all__ = ["LABEL_STUDIO_VERSION", "LocalLabelStudio", "Running", "Status", "default_data_dir"]
