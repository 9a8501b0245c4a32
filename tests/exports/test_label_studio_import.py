"""What is exported for Label Studio goes into a real one again, as it was."""

import json
from pathlib import Path
from typing import Any

import httpx

from tests.exports.texts import BOTH, everything
from tests.label_studio import LabelStudioServer


async def test_a_real_label_studio_takes_the_export(label_studio: LabelStudioServer, tmp_path: Path) -> None:
    await everything(tmp_path).export("label-studio")
    body = (tmp_path / "out" / "tasks.json").read_bytes()
    headers = {"Authorization": f"Token {label_studio.token}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=label_studio.url, headers=headers, timeout=60) as client:
        project = (await client.post("/api/projects/", json={"title": "texts again", "label_config": BOTH})).json()[
            "id"
        ]
        answer = await client.post(f"/api/projects/{project}/import", content=body)
        assert (answer.status_code, answer.json()["annotation_count"], answer.json()["prediction_count"]) == (201, 4, 1)
        found = (await client.get(f"/api/projects/{project}/export", params={"exportType": "JSON"})).json()
    assert answers(found) == answers(json.loads(body))


def answers(tasks: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What was answered to what, without ids and dates, which Label Studio gives anew."""
    made = (
        (
            task["data"],
            [(one["result"], one["ground_truth"], one["was_cancelled"], one["lead_time"]) for one in answers_of(task)],
        )
        for task in tasks
    )
    return sorted(made, key=json.dumps)


def answers_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(task["annotations"], key=lambda one: json.dumps(one["result"]))
