"""The composition root: configuration → adapters → datasets → jobs.

`assembly` builds the parts, `daemon` runs them as named jobs after `greeting` has met the peers, `upkeep` holds the
jobs that repeat; `manual` does for a command what the daemon does by itself, and `doctor` tries it all. The only
floor that knows every adapter.
"""
