"""Versioned rows: one Lance table per dataset, its version names, and the reader of the training side.

`store` is the `SnapshotStore` on Lance (`commit` is its heart), `memory` the reference of that port, `reader`
what `syncd.open_snapshot` opens. Both sides share `location` (where a root is), `names` (the names of versions)
and `table` (the Lance table, the only module that names Lance); `schema` says what a row is there. Nothing that
`reader` imports belongs to the daemon, and so this file imports nothing.
"""
