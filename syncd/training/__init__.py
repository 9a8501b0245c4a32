"""The training side: open one version of a dataset and read it, with no part of the daemon.

`reader` opens, `snapshot` is the version, `query` says which of its rows; `loaders` hands them to the libraries that
training jobs are written with. This file imports nothing.
"""
