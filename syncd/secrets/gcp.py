"""Google Secret Manager, over its REST interface, with Application Default Credentials (google-auth).

Regional secrets (projects/P/locations/L/secrets/S) are asked at their region's own endpoint.
CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER names another endpoint, as for gcloud (private endpoints).
"""

import base64
import binascii
import os
from typing import Any

from syncd.secrets.asking import ANSWER_S, CONNECT_S, needing, patiently, refusal
from syncd.secrets.cache import Place, Unreadable

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"


def fetch(place: Place) -> str:
    """The value of a version. Blocks for seconds; raises Unreadable."""
    return patiently()(lambda: _fetch(place))


def _fetch(place: Place) -> str:
    with needing("gcp"):
        import google.auth  # noqa: PLC0415 - optional
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415
        from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
        session: Any = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        with session:
            # no retries of the transport: `patiently` is the one who retries
            answer = session.get(_url(place), timeout=(CONNECT_S, ANSWER_S), max_allowed_time=ANSWER_S)
    except DefaultCredentialsError:
        raise Unreadable(
            "no Google credentials found: set GOOGLE_APPLICATION_CREDENTIALS, or give syncd a service account"
        ) from None
    except (GoogleAuthError, RequestException) as error:
        raise Unreadable(f"Google cannot be reached ({type(error).__name__})", lasting=False) from None
    if answer.status_code != 200:
        raise refusal(answer.status_code, may="roles/secretmanager.secretAccessor on the secret")
    return _text(answer)


def _url(place: Place) -> str:
    parts = place.name.split("/")
    regional = f"https://secretmanager.{parts[3]}.rep.googleapis.com" if parts[2] == "locations" else ""
    base = os.environ.get(OVERRIDE) or regional or "https://secretmanager.googleapis.com"
    return f"{base.rstrip('/')}/v1/{place.name}/versions/{place.version}:access"


def _text(answer: Any) -> str:
    try:
        return base64.b64decode(answer.json()["payload"]["data"], validate=True).decode()
    except (KeyError, TypeError, ValueError, binascii.Error):  # a body that is not JSON is a ValueError as well
        raise Unreadable("answered something that is no UTF-8 text") from None
