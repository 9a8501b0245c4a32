"""Other people's formats, made of one version: one module for each.

The same version gives the same bytes each time.
"""
