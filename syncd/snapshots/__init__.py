"""Versioned rows: one Lance table per dataset, its version names, and the reader of the training side.

`store` commits (over the `SnapshotStore` port), `memory` is its reference, `reader` is what `syncd.open_snapshot`
opens. Both sides share `location` (where a root is), `names` (the names of versions) and `table` (the Lance
table, the only module that names Lance); `schema` says what a row is there. What `reader` imports stays light:
nothing of the daemon.
"""
