"""Other people's formats, made of one version: one module for each.

The same version gives the same bytes each time. `base` is what a format is made of, `run` exports one, `formats` finds
the installed ones; `pictures`, `geometry`, `beside`, `fetching` and `names` are for images, `texts` for texts.
"""
