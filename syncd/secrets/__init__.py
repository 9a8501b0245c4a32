"""Secrets by reference: the configuration names where a secret is, and it is read only when needed.

A value appears in no repr, log, error, metric or page. Used by the options of every adapter; `service` warms what
secret managers hold and keeps it fresh.
"""

from syncd.secrets.cache import FRESH_S
from syncd.secrets.keeping import keep_fresh, warm
from syncd.secrets.reference import PLACES, SecretRef, text_or_secret

__all__ = ["FRESH_S", "PLACES", "SecretRef", "keep_fresh", "text_or_secret", "warm"]
