"""The way back: other people's annotation files, parsed into items that become tasks with answers.

One module for each format.
"""
