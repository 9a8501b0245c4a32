"""Values that others chose, put into shell lines, Terraform and TOML so that they stay values."""

import json
import re
import shlex
from collections.abc import Sequence

_WORD = re.compile(r"[^A-Za-z0-9_]")


class Raw(str):
    """A part of a shell line that is written as it stands, such as a variable in double quotes."""

    __slots__ = ()


def variable(name: str, what: str) -> Raw:
    """A shell variable that has to be set, and says what it is where it is not."""
    return Raw(f'"${{{name}:?{what}}}"')


def shell(head: Sequence[str], *options: Sequence[str]) -> str:
    """One command with each of its options on a line of its own; every word quoted as far as it needs it (POSIX)."""
    lines = [
        " ".join(word if isinstance(word, Raw) else shlex.quote(word) for word in part) for part in (head, *options)
    ]
    return " \\\n    ".join(lines)


def hcl(value: str) -> str:
    """A Terraform string: JSON's escapes, and none of Terraform's own templates
    (https://developer.hashicorp.com/terraform/language/expressions/strings)."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def toml(value: str) -> str:
    """A basic string of TOML 1.0."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def label(value: str) -> str:
    """A Terraform label, or the name of a MinIO target, made from a name."""
    made = _WORD.sub("_", value)
    return f"_{made}" if made[:1].isdigit() else made
