"""Real faults against the real program: kills, named failpoints, a bad network, servers and disks that fail.

`python -m tests.torture` runs them; each scenario ends in an exact comparison of sets. See `__main__`.
"""
