"""The installed formats: entry points of the group `syncd.exporters`, ours and strangers' alike."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.exports.base import Format, Source

GROUP = "syncd.exporters"


@cache
def _points() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def find_format(name: str) -> Format:
    """The format of that name. Rejected lists those there are."""
    if name not in _points():
        raise Rejected(f"no format {name!r}; there is: {', '.join(_points()) or 'none'}")
    return _loaded(_points()[name])


def said_in(name: str, said: Mapping[str, str]) -> dict[str, str]:
    """Of what is said of a dataset, as options: what the format of that name has room for."""
    known = find_format(name).options if said else {}
    return {option: text for option, text in said.items() if option in known}


def formats() -> list[Format]:
    """All installed formats that can be loaded, by name."""
    found = []
    for point in _points().values():
        try:
            found.append(_loaded(point))
        except ConfigError:  # a stranger's that is broken must not hide the others
            continue
    return found


def _loaded(point: EntryPoint) -> Format:
    try:
        made = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError([Problem(f"exporter {point.name}", str(error), "a package that can be imported")]) from None
    if not isinstance(made, Format):
        raise ConfigError([Problem(f"exporter {point.name}", point.value, "an instance of syncd.exports.base.Format")])
    return made


def misfit_of(chosen: Format, source: Source) -> str | None:
    """Why a format does not fit a version, and which do; None where it fits."""
    why = chosen.misfit(source)
    if why is None:
        return None
    fitting = [one.name for one in formats() if one.misfit(source) is None]
    return f"{chosen.name} does not fit {source.snapshot.uri}: {why}. What fits: {', '.join(fitting) or 'nothing'}"
