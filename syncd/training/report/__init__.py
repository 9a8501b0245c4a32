"""The report on what changed between two versions: one HTML file that opens offline.

`page` fills `page.html`, `charts` draws with plotly. This file imports nothing.
"""
