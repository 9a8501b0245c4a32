"""CoNLL, spaCy, Prodigy, Argilla and Label Studio JSON: read back by their own tools, equal to the rows."""

import contextlib
import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface
from spacy.tokens import DocBin

from syncd.domain.errors import Rejected
from syncd.domain.labels import label_config
from syncd.domain.model import RowStatus
from syncd.domain.regions import Span
from syncd.domain.regions.offsets import code_points
from syncd.exports.run import export_snapshot
from syncd.exports.tokens import tokens
from tests.exports.texts import BOTH, ENTITIES, Texts, chosen, everything, mark

TEXT = "Ada Lovelace met 👩‍🚀 Bob in Oslo, Norway."


# ---------------------------------------------------------------- offsets and tokens


@pytest.mark.parametrize("words", ["Ada", "👩‍🚀", "Bob", "Oslo, Norway", " Bob ", "\u00a0", "é"])
@pytest.mark.parametrize("utf16", [False, True])
def test_offsets_are_code_points_whatever_the_editor_counted(words: str, utf16: bool) -> None:
    text = "👍 Ada 👩‍🚀 met Bob in Oslo, Norway. \u00a0 é"
    value = mark(text, words, "x", utf16=utf16)["value"]
    start, end = code_points(text, Span(start=value["start"], end=value["end"], words=words))
    assert text[start:end] == words.strip()


def test_offsets_without_words_or_with_wrong_ones_are_code_points_within_the_text() -> None:
    assert code_points("👍 Ada", Span(start=2, end=5)) == (2, 5)
    assert code_points("👍 Ada", Span(start=2, end=99, words="Eve")) == (2, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It isn't U.S. 3.14!", ["It", "isn't", "U.S", ".", "3.14", "!"]),
        ("a--b well-known -x", ["a", "-", "-", "b", "well-known", "-", "x"]),
        ("👩‍🚀👍🏽 e\u0301te\u0301 हिन्दी", ["👩‍🚀", "👍🏽", "e\u0301te\u0301", "हिन्दी"]),
        ("snake_case\t(日本語)\u2028x", ["snake_case", "(", "日本語", ")", "x"]),
        ("", []),
    ],
)
def test_texts_fall_into_words_and_signs(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in tokens(text)] == expected


@given(st.text())
def test_every_character_but_white_space_is_in_one_token(text: str) -> None:
    found = tokens(text)
    assert "".join(text[start:end] for start, end in found) == "".join(text.split())
    assert all(before[1] <= after[0] for before, after in pairwise(found))


# ---------------------------------------------------------------- CoNLL


def conll(path: Path) -> list[list[tuple[str, str]]]:
    """Documents of (token, tag), as readers of CoNLL-2003 take them apart."""
    documents: list[list[tuple[str, str]]] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith("-DOCSTART-"):
            documents.append([])
        elif line:
            token, part, chunk, tag = line.split(" ")
            assert (part, chunk) == ("-X-", "_")
            documents[-1].append((token, tag))
    return documents


async def test_conll_tags_marked_words_in_a_file_for_each_split(tmp_path: Path) -> None:
    texts = Texts(tmp_path)
    marks = (mark(TEXT, "Ada Lovelace", "person"), mark(TEXT, "Bob", "person", utf16=True), mark(TEXT, "Oslo", "place"))
    texts.add("1", TEXT, *marks, split="train")
    texts.add("2", "Nobody\n\nis here", split="val")
    done = await texts.export("conll")
    assert not done.lost
    assert conll(tmp_path / "out" / "val.conll") == [[("Nobody", "O"), ("is", "O"), ("here", "O")]]
    assert [pair for pair in conll(tmp_path / "out" / "train.conll")[0] if pair[1] != "O"] == [
        ("Ada", "B-person"),
        ("Lovelace", "I-person"),
        ("Bob", "B-person"),
        ("Oslo", "B-place"),
    ]


async def test_what_conll_cannot_say_is_told(tmp_path: Path) -> None:
    texts = Texts(tmp_path, label_config("named-entities", ("home town", "person")))
    marks = [
        mark(TEXT, "Oslo, Norway", ["home town", "person"]),
        mark(TEXT, "Norway", "person"),
        mark(TEXT, "Love", "person"),
        mark(TEXT, "met", []),
    ]
    texts.add("1", TEXT, *marks)
    done = await texts.export("conll")
    assert done.lost == {
        "a mark that overlaps another": 1,
        "a further label of a mark": 1,
        "the exact end of a mark within a token: it grew to whole tokens": 1,
        "a mark without a label, or of white space alone": 1,
    }
    tags = dict(conll(tmp_path / "out" / "train.conll")[0])
    assert (tags["Oslo"], tags["Norway"], tags["Lovelace"]) == ("B-home_town", "I-home_town", "B-person")


async def test_conll_is_what_the_converter_writes_where_both_cut_alike(tmp_path: Path) -> None:
    texts = Texts(tmp_path)
    plain = "Ada Lovelace went to Oslo with Bob ."
    texts.add(
        "1", plain, mark(plain, "Ada Lovelace", "person"), mark(plain, "Oslo", "place"), mark(plain, "Bob", "person")
    )
    texts.add("2", "nobody was there")
    await texts.export("conll")
    await texts.commit()
    export_snapshot(f"{texts.root}/texts", "label-studio", tmp_path / "ls", tasks="newest")
    with contextlib.redirect_stdout(io.StringIO()):
        converter = Converter(ENTITIES, str(tmp_path), download_resources=False)
        converter.convert(str(tmp_path / "ls" / "tasks.json"), str(tmp_path / "theirs"), "CONLL2003", is_dir=False)
    theirs = (tmp_path / "theirs" / "result.conll").read_text().removeprefix("-DOCSTART- -X- O\n").strip()
    ours = (tmp_path / "out" / "train.conll").read_text().replace("-DOCSTART- -X- _ O\n\n", "").strip()
    assert ours == theirs


async def test_labels_that_conll_would_write_alike_are_refused(tmp_path: Path) -> None:
    texts = Texts(tmp_path, label_config("named-entities", ("a b", "a_b")))
    texts.add("1", TEXT)
    with pytest.raises(Rejected, match="both 'a b' and 'a_b' as 'a_b'"):
        await texts.export("conll")


# ---------------------------------------------------------------- spaCy


def docs(path: Path) -> list[Any]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))


async def test_spacy_reads_entities_and_categories(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    done = await texts.export("spacy")
    assert not done.lost
    (doc,) = docs(tmp_path / "out" / "train.spacy")
    assert doc.text == json.loads(texts.rows[0].row.data)["text"]  # type: ignore[union-attr]
    assert [(span.text, span.label_) for span in doc.ents] == [("Ada", "person"), ("Oslo", "home town")]
    assert doc.cats == {"mood=good": 1.0, "mood=bad": 0.0, "topics=work": 1.0, "topics=play": 1.0}
    second, third = docs(tmp_path / "out" / "dev.spacy")
    assert (second.cats["mood=bad"], third.text) == (1.0, "again")
    assert lines(tmp_path / "out" / "items.jsonl")[:2] == [
        {"file": "train.spacy", "index": 0, "key": "1.txt", "task_id": "1", "annotation_id": "1"},
        {"file": "dev.spacy", "index": 0, "key": "2.007", "task_id": "2", "annotation_id": "2"},
    ]


async def test_spacy_keeps_marks_that_overlap_as_spans_on_request(tmp_path: Path) -> None:
    texts = Texts(tmp_path)
    texts.add("1", TEXT, mark(TEXT, "Oslo, Norway", "place"), mark(TEXT, "Norway", ["place", "person"]))
    done = await texts.export("spacy")
    assert done.lost == {"a mark that overlaps another (the option spans=yes keeps it in doc.spans)": 2}
    kept = await texts.export("spacy", options={"spans": "yes"}, force=True)
    assert not kept.lost
    (doc,) = docs(tmp_path / "out" / "train.spacy")
    assert [span.text for span in doc.ents] == ["Oslo, Norway"]
    assert [(span.text, span.label_) for span in doc.spans["sc"]] == [
        ("Oslo, Norway", "place"),
        ("Norway", "place"),
        ("Norway", "person"),
    ]


async def test_spacy_trains_on_what_was_exported(tmp_path: Path) -> None:
    texts = Texts(tmp_path)
    texts.add("1", TEXT, mark(TEXT, "Ada Lovelace", "person"), mark(TEXT, "Oslo", "place"))
    await texts.export("spacy", options={"language": "en"})
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner")
    found = list(DocBin().from_disk(tmp_path / "out" / "train.spacy").get_docs(nlp.vocab))
    examples = [spacy.training.Example(nlp.make_doc(doc.text), doc) for doc in found]
    nlp.initialize(lambda: examples)
    assert sorted(ner.labels) == ["person", "place"]
    assert nlp.update(examples)["ner"] > 0


async def test_a_language_that_spacy_does_not_know_is_told(tmp_path: Path) -> None:
    texts = Texts(tmp_path)
    texts.add("1", TEXT)
    with pytest.raises(Rejected, match="spaCy has no language 'klingon'"):
        await texts.export("spacy", options={"language": "klingon"})


# ---------------------------------------------------------------- Label Studio


async def test_label_studio_takes_the_tasks_again(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    texts.add("5", "skip me", task_id="5", status=RowStatus.SKIPPED)
    await texts.export("label-studio", status="all")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text(encoding="utf-8"))
    rows = {change.row.annotation_id: change.row for change in texts.rows if change.row}
    found = {str(one["id"]): (task, one) for task in tasks for one in task["annotations"]}
    assert set(found) == set(rows)
    for id_, (task, annotation) in found.items():
        assert task["data"] == json.loads(rows[id_].data)
        assert annotation["result"] == json.loads(rows[id_].result)
        assert annotation["was_cancelled"] == (rows[id_].status == RowStatus.SKIPPED)
        assert "completed_by" not in annotation
    assert [len(task["annotations"]) for task in tasks] == [1, 1, 2, 1]
    assert tasks[1]["predictions"] == [{"model_version": "m1", "result": json.loads(rows["2"].prediction or "")}]
    assert tasks[0]["meta"]["syncd"]["annotations"][0]["annotator"] == "ann@x.org"
    interface = LabelInterface(BOTH)
    for task in tasks:
        assert interface.validate_task({"data": task["data"]}) is not False
        for annotation in task["annotations"]:
            assert interface.validate_annotation({"result": annotation["result"]})


async def test_label_studio_is_told_who_answered_on_request(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    await texts.export("label-studio", options={"annotators": "yes"})
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text(encoding="utf-8"))
    who = [one.get("completed_by") for task in tasks for one in task["annotations"]]
    assert who == [{"email": "ann@x.org"}, {"email": "ann@x.org"}, "bob", None]


# ---------------------------------------------------------------- Prodigy


async def test_prodigy_gets_an_example_for_each_answer(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    texts.add("5", "skip me", status=RowStatus.SKIPPED)
    done = await texts.export("prodigy", status="all")
    first, *others = lines(tmp_path / "out" / "examples.jsonl")
    assert [first["text"][one["start"] : one["end"]] for one in first["spans"]] == ["Ada", "Oslo"]
    assert [one["label"] for one in first["spans"]] == ["person", "home town"]
    assert first["accept"] == ["good", "work", "play"]
    assert [one["id"] for one in first["options"]] == ["good", "bad", "work", "play"]
    assert first["note"] == '=1+1, "quoted"'
    assert [one["answer"] for one in (first, *others)] == ["accept"] * 4 + ["ignore"]
    assert done.lost == {"a number, which Prodigy has no words for": 1}


async def test_prodigy_gets_boxes_and_outlines_in_pixels(tmp_path: Path) -> None:
    xml = """<View><Image name="i" value="$image"/>
      <RectangleLabels name="b" toName="i"><Label value="car"/></RectangleLabels></View>"""
    texts = Texts(tmp_path, xml)
    place = {"x": 10, "y": 20, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["car"]}
    head = {"id": "1", "type": "rectanglelabels", "from_name": "b", "to_name": "i"}
    size = {"original_width": 200, "original_height": 100}
    texts.add("1", "", head | size | {"value": place}, data='{"image": "https://x.org/1.jpg"}')
    await texts.export("prodigy")
    (made,) = lines(tmp_path / "out" / "examples.jsonl")
    assert (made["image"], made["width"], made["height"]) == ("https://x.org/1.jpg", 200, 100)
    (span,) = made["spans"]
    assert span["points"] == [[20, 20], [20, 45], [120, 45], [120, 20]]
    assert (span["label"], span["type"], span["center"]) == ("car", "rect", [70, 32.5])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# ---------------------------------------------------------------- Argilla


async def test_argilla_gets_questions_and_answers(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    done = await texts.export("argilla")
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    kinds = {question["name"]: question["settings"]["type"] for question in settings["questions"]}
    assert kinds == {
        "label": "span",
        "mood": "label_selection",
        "topics": "multi_label_selection",
        "stars": "rating",
        "note": "text",
    }
    first, second, third = lines(tmp_path / "out" / "records.jsonl")
    said = {name: one["value"] for name, one in first["suggestions"].items()}
    spans = [(first["fields"]["text"][one["start"] : one["end"]], one["label"]) for one in said.pop("label")]
    assert spans == [("Ada", "person"), ("Oslo", "home town")]
    assert said == {"mood": "good", "topics": ["work", "play"], "stars": 4, "note": '=1+1, "quoted"'}
    assert (second["id"], second["metadata"]["key"], third["suggestions"]["mood"]["agent"]) == ("2", "2.007", "syncd")
    assert not done.lost


async def test_argilla_gets_responses_of_a_user_on_request(tmp_path: Path) -> None:
    texts = everything(tmp_path)
    user = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    await texts.export("argilla", options={"user_id": user})
    first = lines(tmp_path / "out" / "records.jsonl")[0]
    assert first["responses"]["mood"] == [{"value": "good", "user_id": user, "status": "submitted"}]


# ---------------------------------------------------------------- misfits


@pytest.mark.parametrize("format_", ["conll", "spacy", "argilla"])
async def test_a_version_of_boxes_is_refused_and_what_fits_is_named(tmp_path: Path, format_: str) -> None:
    texts = Texts(tmp_path, label_config("object-detection", ("car",)))
    texts.add("1", "x")
    with pytest.raises(Rejected, match=rf"{format_} does not fit .*RectangleLabels on Image.*fits:.* coco, .*csv"):
        await texts.export(format_)


async def test_sentiment_is_no_conll_but_spacy(tmp_path: Path) -> None:
    texts = Texts(tmp_path, label_config("text-classification", ("good", "bad")))
    texts.add("1", "fine", chosen("good"))
    with pytest.raises(Rejected, match=r"conll does not fit .*Choices on Text.*spacy"):
        await texts.export("conll")
    await texts.export("spacy")
    assert docs(tmp_path / "out" / "train.spacy")[0].cats == {"good": 1.0, "bad": 0.0}
