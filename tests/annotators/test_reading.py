"""What Label Studio stored is read as it is, however odd: it checks nothing itself."""

from hypothesis import given
from hypothesis import strategies as st

from syncd.annotators.label_studio.reading import task_content
from syncd.domain.model import JsonObject, RowStatus, TaskContent

odd = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
ids = st.integers(1, 2**63 - 1)


def objects(**extra: st.SearchStrategy[object]) -> st.SearchStrategy[JsonObject]:
    """An object with an id, and anything under the other names."""
    return st.fixed_dictionaries({"id": ids}, optional={**extra})


annotations = objects(
    result=odd, was_cancelled=odd, completed_by=odd | objects(email=odd), lead_time=odd, parent_prediction=odd
)
tasks = st.fixed_dictionaries(
    {"id": ids},
    optional={
        "data": odd | st.dictionaries(st.sampled_from(["image", "syncd_key"]), odd),
        "annotations": st.none() | st.lists(annotations, max_size=3),
        "predictions": st.none() | st.lists(objects(result=odd, model_version=odd), max_size=3),
    },
)


def content(*annotations: JsonObject, **task: object) -> TaskContent:
    return task_content({"id": 1, "data": {}, "annotations": list(annotations), **task}, [])


@given(tasks, st.lists(objects(result=odd, user=odd), max_size=2))
def test_any_task_is_read(task: JsonObject, drafts: list[JsonObject]) -> None:
    read = task_content(task, drafts)
    assert len(read.annotations) == len(task.get("annotations") or ()) + len(drafts)
    assert all(isinstance(annotation.result, list) for annotation in read.annotations)
    assert not {name for name in read.data if name.startswith("syncd_")}


def test_a_person_is_named_by_id_or_address() -> None:
    found = content(
        {"id": 1, "completed_by": 7},
        {"id": 2, "completed_by": {"id": 7, "email": "a@example.com"}},
        {"id": 3, "completed_by": {"id": 7}},
        {"id": 4, "completed_by": None},
    )
    assert [annotation.annotator for annotation in found.annotations] == ["7", "a@example.com", "7", None]


def test_an_annotation_whose_prediction_is_gone_still_names_it() -> None:
    (annotation,) = content({"id": 1, "parent_prediction": 9}).annotations
    assert (annotation.prediction_id, annotation.prediction, annotation.model_version) == ("9", None, None)


def test_a_result_that_is_no_list_is_kept_for_the_checks_to_judge() -> None:
    (annotation,) = content({"id": 1, "result": {"x": 1}}).annotations
    assert annotation.result == [{"x": 1}]
    assert annotation.status is RowStatus.SUBMITTED


def test_a_key_that_is_no_text_is_not_ours() -> None:
    assert content(data={"syncd_key": 7}).task_key is None
    assert content(data=None).data == {}
