"""Annotation tools, one module or folder each, over the `Annotator` port."""
