"""What asking any secret manager has in common: patience in seconds, a missing package, and statuses in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from syncd.secrets.cache import Unreadable

CONNECT_S, ANSWER_S = 3.0, 5.0
_ATTEMPTS, _PATIENCE_S = 3, 8.0


def patiently() -> Retrying:
    """A few tries within seconds where waiting may help; the last failure is raised."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Unreadable) and not error.lasting),
        stop=stop_after_attempt(_ATTEMPTS) | stop_after_delay(_PATIENCE_S),
        wait=wait_random_exponential(multiplier=0.1, max=1.0),
        reraise=True,
    )


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Around the imports of an optional package."""
    try:
        yield
    except ImportError:
        raise Unreadable(f"needs packages that are not installed: pip install 'syncd[{extra}]'") from None


def refusal(status: int, *, may: str) -> Unreadable:
    """An answer that is no secret, by its HTTP status. `may`: the permission it takes."""
    match status:
        case 401 | 403:
            return Unreadable(f"refused: the credentials syncd runs with need {may}")
        case 404:
            return Unreadable("there is none of that name, or no version of it")
        case 429 | 500 | 502 | 503 | 504:
            return Unreadable(f"the manager is busy or down (HTTP {status})", lasting=False)
    return Unreadable(f"the manager refused the request (HTTP {status})")
