"""The scripted annotator of the product, with what only contract and annotator tests need."""

from typing import Any

from syncd.annotators.label_studio import person
from syncd.domain.model import AnswerKind, ImportedAnswer, JsonObject, ObjectRef
from tests.label_studio import LabelStudioServer


class Person(person.Person):
    """One user of one server. Blocking: call it through `asyncio.to_thread` where others have to go on."""

    @classmethod
    def admin(cls, server: LabelStudioServer) -> "Person":
        """The user whose token syncd has."""
        return cls(server.url, server.token)

    @classmethod
    def colleague(cls, server: LabelStudioServer, email: str) -> "Person":
        """Another user, who signs up with an invitation."""
        with cls.admin(server) as admin:
            path = admin.get("/api/invite")["invite_url"]
        colleague = cls(server.url, "")
        http = colleague.http
        del http.headers["Authorization"]
        http.get(path).raise_for_status()
        form = {"email": email, "password": "pass-word-123", "csrfmiddlewaretoken": http.cookies["csrftoken"]}
        signed_up = http.post(path, data=form, headers={"Referer": server.url + path}, follow_redirects=False)
        assert signed_up.status_code == 302
        http.headers.update({"X-CSRFToken": http.cookies["csrftoken"], "Referer": server.url})
        return colleague

    def get(self, path: str, **params: Any) -> Any:
        """GET; its JSON."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: object) -> Any:
        """POST; its JSON."""
        return self._call("POST", path, json=body)

    # the words of the person in `MemoryDataset`

    def skip(self, task_id: str) -> str:
        """Skip; the annotation id."""
        return self.submit(task_id, [], skip=True)

    def update_annotation(self, annotation_id: str, result: list[JsonObject]) -> None:
        """Correct an annotation."""
        self.correct(annotation_id, result)

    def delete_annotation(self, annotation_id: str) -> None:
        """Delete an annotation."""
        self.withdraw(annotation_id)


def choice(label: str) -> list[JsonObject]:
    """The result of one choice in the label configs of these tests."""
    region = {"id": "r1", "type": "choices", "from_name": "choice", "to_name": "image"}
    return [{**region, "value": {"choices": [label]}}]


def annotation(label: str) -> ImportedAnswer:
    """Somebody's answer from elsewhere, to any object."""
    return ImportedAnswer(ObjectRef("", ""), AnswerKind.ANNOTATION, tuple(choice(label)))


def prediction(label: str) -> ImportedAnswer:
    """A model's."""
    return ImportedAnswer(ObjectRef("", ""), AnswerKind.PREDICTION, tuple(choice(label)), "m@1")
