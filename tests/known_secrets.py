"""The secrets that tests use: every one of them is made here, or made `known` here, so that all output is searched.

`tests.secret_search` does that. The secrets of servers (tokens of a local Label Studio) are made `known` when the
server is up. They are looked for as they are; encoded they pass.
"""

import base64
import hashlib
import os
import uuid

_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex  # one for all workers: it is in names of tests
MARKER = f"sEcReT-{hashlib.sha256(_RUN.encode()).hexdigest()[:8]}"
_SHORTEST = 8
_KNOWN: dict[str, str] = {}


def _digest(name: str) -> bytes:
    return hashlib.sha256(f"{_RUN} {name}".encode()).digest()


def secret(name: str = "token") -> str:
    """A secret of this run, visible ASCII; the same for the same name."""
    return known(f"{MARKER}-{name}-{_digest(name).hex()[:24]}", name)


def signing_secret(name: str) -> str:
    """One for Standard Webhooks: `whsec_` and 32 bytes in base64."""
    key = base64.b64encode(_digest(name)).decode()
    known(key, name)
    return f"whsec_{key}"


def known(value: str, name: str = "") -> str:
    """The same value, looked for from now on. For secrets whose form or origin matters."""
    if len(value) >= _SHORTEST:
        _KNOWN[value] = name or f"{value[:3]}…"
    return value


HUSH = secret("hush")
"""For tests that need one secret and no more."""
S3_KEY = secret("s3-key")
"""The secret access key of our S3 servers."""


def leaked(text: str) -> list[str]:
    """The names of the secrets in a text."""
    return sorted({name for value, name in _KNOWN.items() if value in text})
