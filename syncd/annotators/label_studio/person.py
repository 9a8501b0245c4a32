"""A scripted annotator: does through Label Studio's own API what a person does in the browser.

It stands in for people in `syncd demo` and in tests; the daemon never uses it. Blocking, with the legacy token.
Ids come back as syncd names them: as text.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import httpx

from syncd.domain.model import JsonObject

PAGE = 1_000
Id = int | str


class Person:
    """Somebody who is logged in. Every method raises httpx.HTTPError when the server refuses."""

    def __init__(self, url: str, legacy_token: str) -> None:
        headers = {"Authorization": f"Token {legacy_token}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=60, follow_redirects=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def project(self, title: str) -> JsonObject | None:
        """The project of that title."""
        found = self._call("GET", "/api/projects/", params={"title": title, "page_size": 1000})["results"]
        return next((project for project in found if project["title"] == title), None)

    def tasks(self, title: str) -> list[JsonObject]:
        """All tasks of a project with their annotations, as the Data Manager shows them; none without a project."""
        project = self.project(title)
        return list(self._pages(project["id"])) if project else []

    def _pages(self, project: int) -> Iterator[JsonObject]:
        page, total, seen = 1, 1, 0
        while seen < total:
            params = {"project": project, "page": page, "page_size": PAGE, "fields": "all"}
            answer = self._call("GET", "/api/tasks/", params=params)
            page, total, seen = page + 1, answer["total"], seen + len(answer["tasks"])
            yield from answer["tasks"]

    def submit(self, task: Id, result: Sequence[JsonObject], *, lead_time: float = 1.0, skip: bool = False) -> str:
        """Submit (or skip) a task; returns the annotation's id."""
        body = {"result": list(result), "lead_time": lead_time, "was_cancelled": skip}
        return str(self._call("POST", f"/api/tasks/{task}/annotations/", json=body)["id"])

    def correct(self, annotation: Id, result: Sequence[JsonObject], **more: Any) -> None:
        """Change a submitted annotation."""
        self._call("PATCH", f"/api/annotations/{annotation}/", json={"result": list(result), **more})

    def draft(self, task: Id, result: Sequence[JsonObject]) -> str:
        """Begin without submitting; returns the draft's id."""
        body = {"result": list(result), "lead_time": 1}
        return f"draft-{self._call('POST', f'/api/tasks/{task}/drafts', json=body)['id']}"

    def withdraw(self, annotation: Id) -> None:
        """Delete an annotation."""
        self.http.delete(f"/api/annotations/{annotation}/").raise_for_status()

    def delete_task(self, task: Id) -> None:
        """Delete a task."""
        self.http.delete(f"/api/tasks/{task}/").raise_for_status()

    def delete_project(self, title: str) -> None:
        """Delete a project, if it is there."""
        if project := self.project(title):
            self.http.delete(f"/api/projects/{project['id']}/").raise_for_status()

    def fetch(self, path: str) -> httpx.Response:
        """What the browser would load, such as a task's image."""
        return self.http.get(path)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        response = self.http.request(method, path, **arguments)
        response.raise_for_status()
        return response.json()
