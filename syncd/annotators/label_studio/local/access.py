"""Asking a local Label Studio for its health, and for an access token without a browser.

Called by `server.LocalLabelStudio`. Sync. `trust_env=False` throughout: a proxy has no business on loopback.
"""

import httpx

from syncd.domain.errors import Retryable


def is_healthy(url: str) -> bool:
    """Whether the server answers. Says nothing about credentials."""
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def who_is(url: str, pat: str) -> str | None:
    """The e-mail address of the token's owner; None when the token is not accepted."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        access = client.post("/api/token/refresh/", json={"refresh": pat})
        if access.status_code != 200:
            return None
        header = {"Authorization": f"Bearer {access.json()['access']}"}
        answer = client.get("/api/current-user/whoami", headers=header)
        return answer.json()["email"] if answer.status_code == 200 else None


def make_pat(url: str, username: str, password: str) -> str:
    """A new personal access token of the account; one that it has already is revoked (only one may exist).

    Retryable when the server does not go along.
    """
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        _log_in(client, url, username, password)
        made = _post(client, "/api/token/")
        if made.status_code == 409:
            for token in client.get("/api/token/").json():
                _post(client, "/api/token/blacklist/", {"refresh": token["token"]})
            made = _post(client, "/api/token/")
        if made.status_code != 201:
            raise Retryable(f"Label Studio at {url} gave no access token (HTTP {made.status_code})")
        return str(made.json()["token"])


def _log_in(client: httpx.Client, url: str, username: str, password: str) -> None:
    client.get("/user/login/")
    form = {
        "email": username,
        "password": password,
        "persist_session": "on",
        "csrfmiddlewaretoken": client.cookies.get("csrftoken") or "",
    }
    answer = client.post("/user/login/", data=form, headers={"Referer": f"{url}/user/login/"})
    if answer.status_code != 302:
        raise Retryable(f"Label Studio at {url} does not accept the login of {username}")


def _post(client: httpx.Client, path: str, body: dict[str, str] | None = None) -> httpx.Response:
    headers = {"X-CSRFToken": client.cookies.get("csrftoken") or "", "Referer": str(client.base_url)}
    return client.post(path, json=body or {}, headers=headers)
