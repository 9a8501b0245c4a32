"""Failures of Label Studio and of the way to it, turned into what to do next: the one place that does.

Used by `client`; `Refused`, `Forbidden` and `Garbled` are caught by its siblings where they have another meaning.
No message holds the server's answer: it may carry cookies, task data and secrets.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from label_studio_sdk.core.api_error import ApiError
from label_studio_sdk.core.parse_error import ParsingError

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable, SyncdError

SENDING_FAILED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""The request never reached the server."""


class Refused(Rejected):
    """The server understood and said no. `detail` and `errors` are its words: to be judged, not to be logged."""

    def __init__(self, message: str, status: int, body: object) -> None:
        super().__init__(message)
        self.status = status
        members: Mapping[str, Any] = body if isinstance(body, dict) else {}
        self.detail = str(members.get("detail", ""))
        errors = members.get("validation_errors")
        self.errors: Mapping[str, Any] = errors if isinstance(errors, dict) else {}

    def reasons(self, field: str) -> list[str]:
        """What the server says about one field of the request, each reason shortened to one line."""
        reasons = self.errors.get(field)
        return [shortened(str(reason)) for reason in reasons] if isinstance(reasons, list) else []


class Forbidden(ConfigError):
    """A 403: the token's user may not do this, or the server's rules forbid it to all, as `detail` then says.

    `detail` is the server's word: to be judged, not to be logged.
    """

    def __init__(self, what: str, detail: str) -> None:
        allowed = "a token of a user who may; or else, a proxy in between that lets this pass"
        super().__init__([Problem("token", f"a token that may not do this: {what}", allowed)])
        self.detail = detail


class Garbled(Retryable):
    """A success that holds no JSON: a truncated answer, or a page of something in between."""


class ServerFault(Retryable):
    """A 5xx. `detail` is the server's word: to be judged, not to be logged."""

    def __init__(self, message: str, detail: str, *, retry_after: float | None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.detail = detail


def translated(error: Exception, what: str, url: str) -> SyncdError:
    """The error of ours for one of httpx or the SDK; `what` is the request in words, `url` the server's."""
    where = f"Label Studio at {url}, {what}"
    if isinstance(error, SENDING_FAILED):
        return Retryable(f"{where}: cannot connect; is it running there?", effect_possible=False)
    if isinstance(error, httpx.TimeoutException):
        return Retryable(f"{where}: no answer in time")
    if isinstance(error, ApiError) and error.status_code is not None:
        return _answered(error.status_code, error.headers or {}, error.body, what, where)
    if isinstance(error, ParsingError):
        return Garbled(f"{where}: an answer that makes no sense")
    return Retryable(f"{where}: the connection broke ({type(error).__name__})")


def _answered(status: int, headers: Mapping[str, str], body: object, what: str, where: str) -> SyncdError:
    wait = _retry_after(headers)
    detail = str(body.get("detail", "")) if isinstance(body, dict) else ""
    if status < 300:
        return Garbled(f"{where}: answered {status} without JSON")
    if status < 400:
        return _config("url", f"a redirect ({status})", "the address the server answers at itself, see `Location`")
    if status in {401, 403}:
        return _unauthorized(detail) if status == 401 else Forbidden(what, detail)
    if status == 429:
        return Retryable(f"{where}: too many requests", retry_after=wait, effect_possible=False)
    if status in {408, 425} or status >= 500:
        return ServerFault(f"{where}: the server failed ({status})", detail, retry_after=wait)
    return Refused(f"{where}: refused ({status})", status, body)


def in_project(error: Refused, project: int) -> SyncdError:
    """What a refusal inside a project means: 404 is the project itself gone, not the request bad."""
    if error.status != 404:
        return error
    allowed = "the project back, or a start anew: run `syncd dataset delete NAME` (snapshots are kept)"
    return _config("title", f"project {project} is not in Label Studio any more", allowed)


def _unauthorized(detail: str) -> ConfigError:
    if "legacy token authentication" in detail:
        allowed = "a personal access token (Label Studio: Account & Settings), or legacy tokens switched on there"
        return _config("token", "a legacy token, which this server has disabled", allowed)
    return _config("token", "a token the server does not accept", "a personal access token or legacy token of it")


def _config(field: str, found: str, allowed: str) -> ConfigError:
    return ConfigError([Problem(field, found, allowed)])


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds. A date is measured against the answer's own `Date`, so that our clock does not matter."""
    lower = {name.lower(): value for name, value in headers.items()}
    value = lower.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(lower["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())


def shortened(text: str, limit: int = 160) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
