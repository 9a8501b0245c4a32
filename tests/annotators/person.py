"""A person at work in a Label Studio: does over its API what the browser does. For contract and annotator tests."""

from typing import Any

import httpx

from syncd.domain.model import JsonObject
from tests.label_studio import LabelStudioServer


class Person:
    """One user of one server. Blocking: call it through `asyncio.to_thread` where others have to go on."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    @classmethod
    def admin(cls, server: LabelStudioServer) -> "Person":
        """The user whose token syncd has."""
        return cls(httpx.Client(base_url=server.url, headers={"Authorization": f"Token {server.token}"}))

    @classmethod
    def colleague(cls, server: LabelStudioServer, email: str) -> "Person":
        """Another user, who signs up with an invitation."""
        invitation = cls.admin(server)
        path = invitation.get("/api/invite")["invite_url"]
        invitation.close()
        http = httpx.Client(base_url=server.url)
        http.get(path).raise_for_status()
        form = {"email": email, "password": "pass-word-123", "csrfmiddlewaretoken": http.cookies["csrftoken"]}
        assert http.post(path, data=form, headers={"Referer": server.url + path}).status_code == 302
        http.headers.update({"X-CSRFToken": http.cookies["csrftoken"], "Referer": server.url})
        return cls(http)

    def close(self) -> None:
        """Release the connections."""
        self.http.close()

    def get(self, path: str, **params: Any) -> Any:
        """GET; its JSON."""
        return self.http.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: object) -> Any:
        """POST; its JSON."""
        return self.http.post(path, json=body).raise_for_status().json()

    def submit(self, task_id: str, result: list[JsonObject]) -> str:
        """Submit an annotation; its id."""
        return str(self.post(f"/api/tasks/{task_id}/annotations/", {"result": result, "lead_time": 1.5})["id"])

    def skip(self, task_id: str) -> str:
        """Skip; the annotation id."""
        return str(self.post(f"/api/tasks/{task_id}/annotations/", {"result": [], "was_cancelled": True})["id"])

    def draft(self, task_id: str, result: list[JsonObject]) -> str:
        """Leave unsubmitted work; its id as syncd names it."""
        draft = self.post(f"/api/tasks/{task_id}/drafts", {"result": result, "lead_time": 1.0})
        return f"draft-{draft['id']}"

    def update_annotation(self, annotation_id: str, result: list[JsonObject]) -> None:
        """Correct an annotation."""
        self.http.patch(f"/api/annotations/{annotation_id}/", json={"result": result}).raise_for_status()

    def delete_annotation(self, annotation_id: str) -> None:
        """Delete an annotation."""
        self.http.delete(f"/api/annotations/{annotation_id}/").raise_for_status()

    def delete_task(self, task_id: str) -> None:
        """Delete a task."""
        self.http.delete(f"/api/tasks/{task_id}/").raise_for_status()


def choice(label: str) -> list[JsonObject]:
    """The result of one choice in the label configs of these tests."""
    region = {"id": "r1", "type": "choices", "from_name": "choice", "to_name": "image"}
    return [{**region, "value": {"choices": [label]}}]
