"""A snapshot's rows in the form of other libraries: one module for each, with one function that `Snapshot` calls.

Each library is an extra, imported when it is asked for. This file imports nothing.
"""
