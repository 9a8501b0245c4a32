"""From pydantic's errors to problems that a person can act on: dotted field, what was found, what is allowed.

Used by the loader and for the options of plug-ins. Values are shown only where they cannot be a secret.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from syncd.domain.errors import ConfigError, Problem
from syncd.secrets import PLACES

Location = tuple[int | str, ...]
SECRET_WORDS = re.compile(r"secret|token|passw|credential|key|storage_options", re.IGNORECASE)
SHOWN_CHARACTERS = 80


class FieldError(ValueError):
    """A ConfigError of the domain, in the form in which a pydantic validator may raise it."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__(str(error))
        self.problems = error.problems


@contextmanager
def field_errors() -> Iterator[None]:
    """In a validator: let pydantic note a ConfigError for this field, and go on with the others."""
    try:
        yield
    except ConfigError as error:
        raise FieldError(error) from None


def problems_of(
    error: ValidationError, model: type[BaseModel], prefix: Location, origins: Mapping[str, str]
) -> list[Problem]:
    """One problem for each error. `prefix` is where `model` stands; `origins`: dotted field → environment variable."""
    details = error.errors(include_url=False)
    told = [detail for detail in details if not _follows(detail, details)]
    return [problem for detail in told for problem in _problems(detail, model, prefix, origins)]


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint at what was meant: the nearest known name, or all of them."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known) or 'none'}"


def _follows(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """A list is too short only because its members are wrong, and those are told."""
    place = detail["loc"]
    inside = (other["loc"] for other in details if len(other["loc"]) > len(place))
    return detail["type"] == "too_short" and any(loc[: len(place)] == place for loc in inside)


def _problems(
    detail: ErrorDetails, model: type[BaseModel], prefix: Location, origins: Mapping[str, str]
) -> Iterator[Problem]:
    field = ".".join(str(part) for part in (*prefix, *detail["loc"]))
    variable = _origin(detail, field, origins)
    for found, allowed in _told(detail, model, field):
        yield Problem(field, f"{found} in ${variable}".strip() if variable else found, allowed)


def _told(detail: ErrorDetails, model: type[BaseModel], field: str) -> list[tuple[str, str]]:
    """What was found and what is allowed; a validator of ours may have raised several problems at once."""
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, FieldError):
        return [(problem.found, problem.allowed) for problem in cause.problems]
    return [(_found(detail, field), _allowed(detail, model))]


def _origin(detail: ErrorDetails, field: str, origins: Mapping[str, str]) -> str | None:
    if detail["type"] == "extra_forbidden":  # a misspelt table: the variable stands for one of its fields
        return next((name for below, name in origins.items() if f"{below}.".startswith(f"{field}.")), None)
    return origins.get(field)


def _allowed(detail: ErrorDetails, model: type[BaseModel]) -> str:
    match detail["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            *parents, name = detail["loc"]
            return f"is no field; {nearest(str(name), _fields_at(model, parents))}"
        case "model_type" | "model_attributes_type" if detail.get("ctx", {}).get("class_name") == "SecretRef":
            return f"must say where the secret is: {PLACES}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a table"
        case "list_type" | "tuple_type":
            return "must be a list"
    return _said(detail, model)


def _said(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Pydantic's own words, or a validator's."""
    said = re.sub(r"^(Value error, |\w+ should (?=\w))", _opening, detail["msg"])
    if detail["type"] == "string_pattern_mismatch" and (description := _description(model, detail["loc"])):
        return f"{description.rstrip('.')}; it {said}"
    return said.partition(" after validation, not ")[0]


def _opening(match: re.Match[str]) -> str:
    return "" if match[0].startswith("Value") else "must "


def _found(detail: ErrorDetails, field: str) -> str:
    value = detail["input"]
    if detail["type"] in {"missing", "extra_forbidden", "too_short"}:
        return ""
    if detail["type"] == "value_error" and (value is None or isinstance(value, Mapping | list)):
        return ""  # the message says what is wrong inside of it
    if detail["type"].endswith("_type") or SECRET_WORDS.search(field):
        return _kind(value)
    return _shown(value) if isinstance(value, str) else _kind(value)


def _kind(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return "text"
        case Mapping():
            return "a table"
        case list():
            return "a list"
    return type(value).__name__


def _shown(text: str) -> str:
    """URLs may carry passwords and signatures: only scheme, host and path are shown."""
    if "://" in text:
        scheme, _, rest = text.partition("://")
        text = f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")


def _fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    inside = _at(model, location)
    return list(inside.model_fields) if _is_model(inside) else []


def _description(model: type[BaseModel], location: Location) -> str:
    parent, name = _at(model, location[:-1]), str(location[-1])
    return (parent.model_fields[name].description or "") if _is_model(parent) and name in parent.model_fields else ""


def _at(model: type[BaseModel], location: Sequence[int | str]) -> Any:
    """The annotation of what stands there."""
    inside: Any = model
    for part in location:
        inside = _required(_inner(inside, part))
    return inside


def _inner(annotation: Any, part: int | str) -> Any:
    if _is_model(annotation):
        return annotation.model_fields[str(part)].annotation
    members = [member for member in get_args(annotation) if member is not Ellipsis]
    return members[-1] if members else None


def _required(annotation: Any) -> Any:
    members = [member for member in get_args(annotation) if member is not NoneType]
    return members[0] if NoneType in get_args(annotation) else annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
