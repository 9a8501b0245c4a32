"""Whether a store honours conditional writes, tried on the real location: some S3 servers accept them and look away.

Called by `store` before the first write of a process and by `syncd doctor`; blocking, 0.1 to 2 seconds. Versions need
create-only PUTs: without, two processes could both name one version. Compare-and-set is told apart from it and not
needed: old Ceph refuses a fresh etag. The objects of a probe are deleted again (in a bucket with versions, delete
markers stay). Known, measured: rclone's `serve s3` ignores both, Ceph 16 ignores them where the bucket has versions.
"""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError

from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.snapshots.location import ABSENT, TAKEN, Root, summary

RACERS = 4
_FIELD = "snapshots.url"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was found: of each kind of condition, the step at which it was not honoured; empty where it was."""

    create_only: str = ""
    compare_and_set: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        create = f"create-only writes: {self.create_only or 'honoured'}"
        return f"{create}; compare-and-set: {self.compare_and_set or 'honoured'}"


def probe_conditions(root: Root) -> Conditions:
    """Try both kinds. ConfigError: the bucket is not there, or may not be written. Retryable: it did not answer."""
    probe = _Probe(root)
    try:
        with _errors(root):
            return Conditions(probe.create_only(), probe.compare_and_set())
    finally:
        probe.clean()


def require_create_only(root: Root) -> Conditions:
    """The same; ConfigError also where create-only is not honoured."""
    found = probe_conditions(root)
    if found.create_only:
        allowed = "a store that honours If-None-Match (else two processes could both name one version)"
        raise ConfigError([Problem(_FIELD, f"{root.url}: {found.create_only}", allowed)])
    return found


class _Probe:
    """One probe: two objects nobody else knows of."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._one, self._other = (f".syncd-probe-{secrets.token_hex(8)}" for _ in range(2))
        self._first: Any = None
        self._made: set[str] = set()

    def create_only(self) -> str:
        """Create, create again, and race for a new key."""
        self._first = self._create(self._one)
        if self._first is None:
            return "a create-only PUT of a new key was refused"
        if self._create(self._one) is not None:
            return "a second create-only PUT of one key was accepted"
        with ThreadPoolExecutor(RACERS) as racers:
            won = sum(made is not None for made in racers.map(self._create, [self._other] * RACERS))
        return "" if won == 1 else f"{won} of {RACERS} racing create-only PUTs of one key were accepted"

    def compare_and_set(self) -> str:
        """With the etag that is there, and with the one that was there before."""
        if self._root.local:
            return "not offered by folders, and not needed"
        known = {name: value for name, value in (self._first or self._put("overwrite")).items() if value}
        try:
            if self._put(known) is None:
                return "a PUT with the fresh etag was refused"
            return "" if self._put(known) is None else "a PUT with a stale etag was accepted"
        except NotSupportedError:
            return "not offered"

    def clean(self) -> None:
        """Best effort: what cannot be removed is two objects of a few bytes."""
        for path in self._made:
            with suppress(BaseError, OSError):
                obstore.delete(self._root.objects, path)

    def _create(self, path: str) -> Any:
        """What was written; None where it was refused."""
        return self._put("create", path)

    def _put(self, mode: Any, path: str | None = None) -> Any:
        """Each time other bytes: an etag may be no more than their hash."""
        data = secrets.token_bytes(16)
        path = path or self._one
        try:
            written = obstore.put(self._root.objects, path, data, mode=mode, use_multipart=False)
        except TAKEN:
            return None
        self._made.add(path)
        return written


@contextmanager
def _errors(root: Root) -> Iterator[None]:
    try:
        yield
    except (*ABSENT, PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise ConfigError([Problem(_FIELD, summary(error), "a bucket that exists and may be written")]) from error
    except (BaseError, OSError) as error:
        raise Retryable(f"writing to {root.url}: {summary(error)}", effect_possible=False) from error
