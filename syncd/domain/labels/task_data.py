"""Task data out of a JSON object, for label configs that need more of a task than one text or one link.

Pure; called by the annotators. Values are taken as they are: texts, numbers, lists, URLs that the annotator can show.
"""

from syncd.domain.decoding import NotJsonError, strict_json
from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.model import JsonObject


def json_task_data(config: LabelConfig, text: str) -> JsonObject:
    """The members of a JSON object that has all variables of the label config; others are kept.

    Where the config has one variable, a list on its own is its value. Rejected says what is wrong with the text.
    """
    needed = ", ".join(repr(name) for name in config.variables)
    try:
        data = strict_json(text)
    except NotJsonError as error:
        raise Rejected(f"the object is no JSON ({error}); its task needs {needed}") from None
    if isinstance(data, list) and len(config.variables) == 1:
        data = {config.variables[0]: data}
    if not isinstance(data, dict):
        raise Rejected(f"the JSON is {_kind(data)}; its task needs a JSON object with {needed}")
    _check_variables(config, data)
    _check_storable(data)
    return data


def missing_variables(config: LabelConfig, data: JsonObject) -> list[str]:
    """The variables of the label config that task data does not hold."""
    return [name for name in config.variables if not _has(data, name)]


def _check_variables(config: LabelConfig, data: JsonObject) -> None:
    if missing := missing_variables(config, data):
        raise Rejected(f"the JSON object lacks {', '.join(map(repr, missing))}, which the label config shows")
    for tag in config.objects.values():
        if tag.takes_list and tag.variable in data and not isinstance(data[tag.variable], list):
            found = _kind(data[tag.variable])
            raise Rejected(f"{tag.variable!r} in the JSON object is {found}; <{tag.tag}> shows a list")


def _has(data: JsonObject, variable: str) -> bool:
    """Variables such as `pages[0]` and `meta.title` lead into lists and objects; the way as far as the list counts."""
    value: object = data
    for name in variable.partition("[")[0].split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def _check_storable(value: object) -> None:
    if isinstance(value, str) and "\0" in value:
        raise Rejected("the JSON holds a NUL character, which annotators do not store")
    for inner in (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_storable(inner)


def _kind(value: object) -> str:
    """What JSON calls it."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
