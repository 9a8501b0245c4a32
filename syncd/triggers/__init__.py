"""Targets of triggers, each a `ports.Target`: a webhook, a command, a published export.

Made by `service` under the type that `[datasets.NAME.triggers.NAME]` names; a stranger's comes in by the same entry
point group, `syncd.triggers`.
"""
