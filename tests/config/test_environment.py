"""Settings from the environment win over the file, and are checked as strictly."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.domain.planning import OnChange
from tests.config.conftest import BASE, Load

Problems = Callable[..., dict[str, str]]


def test_a_variable_overrides_the_file(load: Load) -> None:
    assert load("[receiver]\nport = 1", SYNCD_RECEIVER__PORT="8500").receiver.port == 8500


def test_a_variable_reaches_into_named_tables_and_plug_in_options(load: Load) -> None:
    config = load(BASE, SYNCD_DATASETS__FRUITS__ON_CHANGE="replace", SYNCD_SOURCES__PHOTOS__POLL_EVERY="2.5")
    assert config.datasets["fruits"].on_change is OnChange.REPLACE
    assert config.sources["photos"].options.model_dump()["poll_every"] == 2.5


def test_an_underscore_stands_for_a_hyphen_in_names(load: Load) -> None:
    config = load(BASE.replace("fruits", "my-fruits"), SYNCD_DATASETS__MY_FRUITS__TITLE="Mine")
    assert config.datasets["my-fruits"].title == "Mine"


def test_lists_and_tables_are_toml(load: Load) -> None:
    config = load(
        BASE, SYNCD_DATASETS__FRUITS__LABELS='["a", "b"]', SYNCD_ANNOTATORS__STUDIO__TOKEN='{ env = "TOKEN" }'
    )
    assert config.datasets["fruits"].labels == ["a", "b"]
    assert config.annotators["studio"].options.model_dump()["token"]["env"] == "TOKEN"


def test_a_wrong_value_is_told_with_its_variable(problems: Problems) -> None:
    found = problems(BASE, SYNCD_RECEIVER__PORT="abc", SYNCD_SOURCES__PHOTOS__POLL_EVERY="0")
    assert "(found 'abc' in $SYNCD_RECEIVER__PORT)" in found["receiver.port"]
    assert "$SYNCD_SOURCES__PHOTOS__POLL_EVERY" in found["sources.photos.poll_every"]


def test_a_misspelt_variable_is_told(problems: Problems) -> None:
    found = problems("", SYNCD_RECIEVER__PORT="1", SYNCD_RECEIVER__PROT="1", SYNCD_LOG__LEVEL="[")
    assert "did you mean receiver? (found in $SYNCD_RECIEVER__PORT)" in found["reciever"]
    assert "did you mean port?" in found["receiver.prot"]
    assert "none" in found["$SYNCD_LOG__LEVEL"]


def test_variables_that_are_no_settings_are_left_alone(load: Load) -> None:
    load("", SYNCD_TOKEN="hunter2", SYNCD_CONFIG="/x", SYNCD_RECEIVER__PORT="", SYNCD___X="1", PATH="/bin")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0[{"), min_size=1, max_size=50))
def test_any_plain_text_arrives_as_it_is(load: Load, value: str) -> None:
    assert load(BASE, SYNCD_DATASETS__FRUITS__TITLE=value).datasets["fruits"].title == value
