"""Any bytes to everything that reads bytes of others: `python -m tests.fuzz [--inputs N] [--parser NAME]`.

`targets` are the readers, each with real samples and with what must hold of whatever it returns; only the errors it
names may come out. `mutation` changes samples as JSON and as bytes; `one` lets atheris change them, guided by what of
the code they reach. The ordinary tests run a small form without atheris, with a fixed seed.
"""
