"""`syncd bucket`: what it takes so that a bucket's events reach the source that names it.

Called by the command line. Amazon and Ceph are set up by their own interfaces, from a plan that is shown first; what
cannot, or must not, be done from here (MinIO, SeaweedFS, Google, Azure) is printed, ready to be run. Only what syncd
made is ever changed or removed: it carries `syncd-NAME`.
"""

from syncd.service.connect.plan import Change, Plan, Recipe, Text
from syncd.service.connect.target import Target, target_of
from syncd.service.connect.ways import Wishes, connection, disconnection, policy

__all__ = [
    "Change",
    "Plan",
    "Recipe",
    "Target",
    "Text",
    "Wishes",
    "connection",
    "disconnection",
    "policy",
    "target_of",
]
