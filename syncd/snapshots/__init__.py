"""Versioned rows: one Lance table per dataset, its version names and tags, and what keeps them sound for years.

`store` is the `SnapshotStore` on Lance (`commit` is its heart), `memory` the reference of that port. `location` says
where a root is, `names` what the versions are called, `table` is the Lance table and the only module that names
Lance; `schema` says what a row is there. The training side (`syncd.training`) reads through these three: nothing
here belongs to the daemon, and so this file imports nothing.
"""
