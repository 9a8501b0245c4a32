"""The product under a seeded, deterministic simulation: every order of things and every fault that a seed calls for.

Several processes share one state; each call they make to the world outside is a point where the seed decides what
happens next: it goes on, is refused, is done and its answer lost, is done late, or its process dies there; or another
process, a person, the bucket or the clock comes first. At the end the world comes to rest, is reconciled, and has to
be as the policies say. `python -m tests.simulate --help`; `tests/test_simulation.py` runs some hundred seeds.

Limits: what is simulated are the flows (objects, texts, sidecars; imports, versions, deliveries), the workers and the
rules of the state, on the adapters in memory; the state may be the one on SQLite, and then takes the same course, step
by step. Groups, manifests, adapters of real servers and PostgreSQL have their own tests. Where processes sleep past
their leases (`paused`), a task may be made twice for a while, for no annotator knows our leases: what is kept at the
end is right.
"""
