"""From what a configuration can say to what a parameter wants: numbers, paths, and a few objects.

`OBJECTS` is the whole list of objects that a configuration can ask for. ``building`` imports this
module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from importlib import import_module
from typing import Any

from encore.config.parameters import Parameter
from encore.config.variables import Substituted, plain

__all__ = ["OBJECTS", "Unfit", "fit"]

MEMORY = ":memory:"

_TEXT = frozenset(("str", "PathLike", "Path", "PurePath", "Any", "object", ""))
_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}

_CHECKS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "None": lambda value: value is None,
    **dict.fromkeys(("PathLike", "Path", "PurePath"), lambda value: isinstance(value, str)),
    **dict.fromkeys(
        ("list", "tuple", "set", "frozenset", "Sequence", "Iterable", "Collection"),
        lambda value: isinstance(value, list | tuple),
    ),
    **dict.fromkeys(("dict", "Mapping"), lambda value: isinstance(value, Mapping)),
}
_NAMES = {
    "str": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "None": "nothing (null)",
    **dict.fromkeys(("PathLike", "Path", "PurePath"), "a path"),
    **dict.fromkeys(("dict", "Mapping"), "a mapping"),
}


class Unfit(ValueError):  # noqa: N818  never leaves the room
    """A value is not of the kind that a parameter takes; the text does not show it."""


def _validator(value: Any) -> Any:
    validators = import_module("encore.keys.validators")
    if value == "http_url":
        return validators.is_http_url
    if isinstance(value, dict) and list(value) == ["matches"] and isinstance(value["matches"], str):
        return validators.matches(value["matches"])
    raise Unfit("takes 'http_url' or {matches: REGULAR EXPRESSION}")


def _lifetime(value: Any) -> Any:
    lifetimes = import_module("encore.storage.wrappers.lifetimes")
    policies = {"ttl": lifetimes.TimeToLive, "tti": lifetimes.TimeToIdle}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in policies:
        ((name, seconds),) = value.items()
        with suppress(TypeError, ValueError):
            return policies[name](float(seconds))
    raise Unfit("takes {ttl: SECONDS}, after writing, or {tti: SECONDS}, after the last use")


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) and len(value) == 2 else value


def _logger(value: Any) -> Any:
    if isinstance(value, str) and value:
        return import_module("logging").getLogger(value)
    raise Unfit("takes the name of a logger")


def _from_python(value: Any) -> Any:
    raise Unfit("takes an object, which a configuration in a file cannot give; leave it out")


#: What a configuration says instead of an object, by the annotation of the parameter, or by its
#: name where the annotation says nothing.
OBJECTS: dict[str, Callable[[Any], Any]] = {
    "auth": _pair,
    "TimeToLive": _lifetime,
    "TimeToIdle": _lifetime,
    "Validator": _validator,
    "Logger": _logger,
    "BaseEventManager": _from_python,
    "MetricsBackend": _from_python,
    "Callable": _from_python,
}


def fit(parameter: Parameter, value: Any, folder: str | None) -> Any:
    """Return what a parameter wants, made of what the configuration says.

    Parameters
    ----------
    parameter : Parameter
    value : object
        With variables put in.
    folder : str or None
        Where relative paths begin.

    Raises
    ------
    Unfit
        It does not take this.
    """
    kinds = parameter.kinds
    made = _made(kinds if kinds - {"Any", ""} else {parameter.name}, value)
    if made is not value:
        return made
    if isinstance(value, Substituted):
        value = _parsed(value, kinds)
    value = plain(value)
    if parameter.is_path and isinstance(value, str):
        value = local_path(value, folder)
    if kinds <= _CHECKS.keys() and not any(_CHECKS[kind](value) for kind in kinds):
        wanted = sorted({_NAMES.get(kind, "a list") for kind in kinds})
        raise Unfit(f"takes {' or '.join(wanted)}, and this is {_what(value)}")
    if isinstance(value, list) and "tuple" in kinds and "list" not in kinds:
        return tuple(value)
    return value


def local_path(path: str, folder: str | None) -> str:
    """Return a path from a configuration: ``~`` is home, relative ones begin at the folder."""
    if path == MEMORY:
        return path
    path = os.path.expanduser(path)
    return path if folder is None else os.path.join(folder, path)


def _made(kinds: Set[str], value: Any) -> Any:
    """The object that is asked for; the value itself where there is none to make."""
    said = plain(value)
    if said is None or not isinstance(said, str | int | float | list | dict):
        return value  # None, or already an object
    if any(kind in _CHECKS and _CHECKS[kind](said) for kind in kinds):
        return value
    for kind, make in OBJECTS.items():
        if kind in kinds:
            return make(said)
    return value


def _parsed(value: Substituted, kinds: frozenset[str]) -> Any:
    """A number, or true or false, out of a text from variables, if one is wanted."""
    text = value.text.strip()
    if "bool" in kinds and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind, parse in (("int", int), ("float", float)):
        if kind in kinds:
            try:
                return parse(text)
            except ValueError:
                continue
    if kinds & {"bool", "int", "float"} and not kinds & _TEXT:
        wanted = sorted(_NAMES[kind] for kind in kinds & {"bool", "int", "float"})
        raise Unfit(f"takes {' or '.join(wanted)}, and {value!r} does not stand for one")
    return value


def _what(value: Any) -> str:
    for kind in ("None", "bool", "int", "float", "str", "Mapping", "list"):
        if _CHECKS[kind](value):
            return _NAMES.get(kind, "a list")
    return f"a {type(value).__name__}"
