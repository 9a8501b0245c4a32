"""Label configs are parsed into what syncd needs of them, and hostile XML is refused before it does harm."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.errors import ConfigError
from syncd.domain.labels.configs import MAX_BYTES, MAX_DEPTH, LabelConfig, parse_label_config

BOXES = """
<View>
  <!-- what to do -->
  <Image name="image" value="$photo" zoom="true"/>
  <RectangleLabels name="label" toName="image" choice="multiple">
    <Label value="Car" background="blue"/><View><Label value="Airplane" alias="plane"/></View>
  </RectangleLabels>
  <Filter name="filter" toName="label"/>
  <Rating name="quality" toName="image" maxRating="7"/>
  <Wobble name="wobble" toName="image" speed="3"/>
</View>
"""


def test_controls_objects_and_labels_are_found() -> None:
    config = parse_label_config(BOXES)
    assert list(config.controls) == ["label", "quality", "wobble"]
    label = config.controls["label"]
    assert (label.tag, label.kind, label.to_name) == ("RectangleLabels", "rectanglelabels", ("image",))
    assert label.labels == ("Car", "plane")
    assert label.attributes["choice"] == "multiple"
    assert config.controls["quality"].number("maxrating") == 7
    assert config.controls["quality"].number("min") is None
    assert [(tag.name, tag.kind, tag.variable) for tag in config.objects.values()] == [("image", "image", "photo")]
    assert config.variables == ("photo",)


def test_tags_nobody_here_knows_are_kept_as_controls() -> None:
    wobble = parse_label_config(BOXES).controls["wobble"]
    assert (wobble.kind, wobble.labels, wobble.attributes["speed"]) == ("wobble", (), "3")


def test_the_hash_is_blind_to_layout_comments_and_attribute_order() -> None:
    again = BOXES.replace('name="image" value="$photo"', "value='$photo'   name='image'").replace("what to do", "hm")
    assert parse_label_config("".join(again.split("\n  "))).hash == parse_label_config(BOXES).hash


@pytest.mark.parametrize(("old", "new"), [("Car", "Cat"), ("multiple", "single"), ("plane", "jet"), ("$photo", "$p")])
def test_the_hash_sees_every_change_of_meaning(old: str, new: str) -> None:
    assert parse_label_config(BOXES.replace(old, new)).hash != parse_label_config(BOXES).hash


@pytest.mark.parametrize(
    ("tags", "media", "inline"),
    [
        ('<Text name="t" value="$t"/>', "text", True),
        ('<Text name="t" value="$t" valueType="url"/>', "text", False),
        ('<HyperText name="t" value="$t"/>', "text", True),
        ('<Paragraphs name="t" value="$t"/>', "text", True),
        ('<Text name="q" value="$question"/><Image name="i" value="$i"/>', "image", True),
        ('<List name="l" value="$items"/>', "list", True),
        ('<Image name="i" value="$pages[0]"/>', "image", True),
        ('<Image name="i" valueList="$pages"/>', "image", False),
        ('<Audio name="a" value="$a"/>', "audio", False),
        ('<Video name="v" value="$v"/>', "video", False),
        ('<TimeSeries name="s" value="$s" valueType="url"/>', "time-series", False),
        ('<TimeSeries name="s" value="$s" valueType="json"/>', "time-series", True),
        ('<Pdf name="p" value="$p"/>', "pdf", False),
        ('<Header value="$h"/>', "none", False),
        ("", "none", False),
    ],
)
def test_media_kind_and_inline_text_follow_the_object_tags(tags: str, media: str, *, inline: bool) -> None:
    config = parse_label_config(f"<View>{tags}</View>")
    assert (config.media_kind, config.inline_text) == (media, inline)


def test_variables_are_all_keys_that_task_data_must_hold() -> None:
    config = parse_label_config(
        '<View><Choices name="c" toName="t" value="$options"/><Text name="t" value="Title: $title"/>'
        '<Image name="i" value="$pages[0]"/><Header value="$no_name"/></View>'
    )
    assert config.variables == ("title", "pages[0]", "options")


@pytest.mark.parametrize(
    "control",
    [
        '<Choices name="c" toName="t" value="$options"/>',
        '<Taxonomy name="c" toName="t" apiUrl="https://example.com/labels"/>',
        '<Choices name="c" toName="t"><Choice value="$option"/></Choices>',
    ],
)
def test_labels_from_task_data_or_an_api_make_a_control_dynamic(control: str) -> None:
    config = parse_label_config(f'<View>{control}<Text name="t" value="$t"/></View>')
    assert config.controls["c"].dynamic


def test_taxonomies_relations_and_chats_are_understood() -> None:
    config = parse_label_config(
        '<View><Relations><Relation value="owns"/></Relations><Chat name="chat" value="$messages"/>'
        '<Taxonomy name="tax" toName="chat"><Choice value="A"><Choice value="B"/></Choice></Taxonomy></View>'
    )
    assert config.relations == ("owns",)
    assert config.controls["tax"].labels == ("A", "B")
    assert (config.controls["chat"].kind, config.controls["chat"].to_name) == ("chatmessage", ("chat",))
    assert config.objects["chat"].variable == "messages"


BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<View>&b;</View>"""
EXTERNAL = '<!DOCTYPE View [<!ENTITY file SYSTEM "file:///etc/passwd">]><View><Header value="&file;"/></View>'


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (BOMB, "line 2: remove the DOCTYPE"),
        (EXTERNAL, "line 1: remove the DOCTYPE"),
        ('<!DOCTYPE View SYSTEM "http://127.0.0.1:9/x.dtd"><View/>', "line 1: remove the DOCTYPE"),
        ("<View>\n<Image></View>", "line 2: .*mismatched tag"),
        ("<View>&nbsp;</View>", "line 1: .*undefined entity"),
        ("", "no element found"),
        ("<View>\n\x00</View>", "line 2: "),
        ("<View>\n\ud800</View>", "line 2: .*surrogate"),
        ("<View>\n<x:Image/></View>", "line 2: declare the namespace"),
        ("<View>" + "<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH + "</View>", "line 1: nest tags at most"),
        (f"<View>{' ' * MAX_BYTES}</View>", "at most 1000000 bytes"),
        ('<View>\n<Image name="i" value="$i"/>\n<Text name="i" value="$t"/></View>', "line 3: .*name 'i' twice"),
        ('<View>\n<Choices name="c" toName="img"/></View>', "line 2: toName .*'img'"),
    ],
    ids=lambda value: value[:30],
)
def test_bad_xml_is_refused_with_its_line_and_what_to_do(xml: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_label_config(xml)
    assert [problem.field for problem in caught.value.problems] == ["label_config"]


def test_a_config_of_nearly_a_megabyte_is_read_in_moderate_time() -> None:
    choices = "".join(f'<Choice value="label {n}"/>' for n in range(30_000))
    began = time.process_time()
    config = parse_label_config(
        f'<View><Text name="t" value="$t"/><Choices name="c" toName="t">{choices}</Choices></View>'
    )
    assert len(config.labels) == 30_000
    assert time.process_time() - began < 10


@given(st.text() | st.text("<>/ \"'=$&;!abView\n").map(lambda text: f"<View>{text}</View>"))
def test_any_text_is_parsed_or_refused(xml: str) -> None:
    try:
        config = parse_label_config(xml)
    except ConfigError:
        return
    assert isinstance(config, LabelConfig)
    assert parse_label_config(config.canonical).hash == config.hash
