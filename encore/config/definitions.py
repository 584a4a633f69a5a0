"""What a configuration says of each store, checked for its shape.

::

    main: NAME                      the store that is meant without a name
    stores:
      NAME: {type: KIND, base: ..., config: {...}}
      NAME: "sqlite:PATH"           the store at an address

``factory`` and ``building`` import this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from encore.config.documents import Document, Place
from encore.config.schemes import guess

__all__ = ["Definition", "read_definitions"]

_NAME = re.compile(r"\w(?:[\w .-]*[\w.-])?")
_TOP = ("main", "stores")
_PARTS = ("type", "base", "config")


@dataclass(frozen=True, slots=True)
class Definition:
    """A store, as a configuration describes it; variables are not put in yet.

    Attributes
    ----------
    name : str
    place : Place
    kind : str or None
        The name of the store's class; None if it is given by its address.
    base : object
        The store or stores that it is over: a name, a list or a mapping; None for none.
    config : dict
        Arguments, by name.
    address : str or None
    """

    name: str
    place: Place
    kind: str | None = None
    base: Any = None
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    address: str | None = field(default=None, repr=False)


def read_definitions(document: Document) -> tuple[str | None, dict[str, Definition]]:
    """Return the name (or address) of the main store, if there is one, and every definition.

    Raises
    ------
    ConfigError
        Something is missing, unknown, or not of the shape it should have.
    """
    content = document.content
    _check_names(document, (), content, _TOP)
    main = content.get("main")
    if "main" in content and not isinstance(main, str):
        raise document.error(
            ("main",), f"'main' is the name of one store, and not {_kind_of(main)}"
        )
    stores = content.get("stores")
    if "stores" not in content and main is not None:
        stores = {}
    if not isinstance(stores, dict) or not (stores or main):
        raise document.error(
            ("stores",) if "stores" in content else (),
            "'stores' is a mapping from names to stores: {NAME: {type: ..., config: {...}}}",
        )
    return main, {name: _definition(document, name, part) for name, part in stores.items()}


def _definition(document: Document, name: str, content: Any) -> Definition:
    place: Place = ("stores", name)
    if not _NAME.fullmatch(name):
        raise document.error(
            place, "the name of a store consists of letters, digits, blanks, '_', '-' and '.'"
        )
    if isinstance(content, str):
        return Definition(name, place, address=content)
    if not isinstance(content, dict):
        raise document.error(
            place,
            f"a store is {{type: ..., base: ..., config: ...}} or an address, and not "
            f"{_kind_of(content)}",
        )
    _check_names(document, place, content, _PARTS)
    if "type" not in content:
        raise document.error(place, "the store has no 'type', such as SqliteStore")
    if not isinstance(content["type"], str):
        raise document.error((*place, "type"), f"a type is a name, not {_kind_of(content['type'])}")
    config = content.get("config")
    if config is not None and not isinstance(config, dict):  # nothing behind 'config:' is nothing
        raise document.error(
            (*place, "config"), f"'config' is a mapping of arguments, not {_kind_of(config)}"
        )
    base = content.get("base")
    if "base" in content and not (isinstance(base, str | list | dict) and base):
        raise document.error(
            (*place, "base"),
            "'base' is the name of a store, a list of names, or a mapping from roles to names; "
            f"not {_kind_of(base)}",
        )
    return Definition(name, place, content["type"], base, config or {})


def _check_names(
    document: Document, place: Place, content: dict[str, Any], known: Iterable[str]
) -> None:
    for name in content:
        if name not in known:
            raise document.error(
                (*place, name),
                f"there is no {name!r} here{guess(name, known)}; there are {', '.join(known)}",
            )


def _kind_of(value: Any) -> str:
    """What a value is, for a message, without showing it."""
    if value is None:
        return "nothing"
    if value in ("", [], {}):
        return (
            "an empty " + {"str": "text", "list": "list", "dict": "mapping"}[type(value).__name__]
        )
    names = {"str": "a text", "list": "a list", "dict": "a mapping", "bool": "true or false"}
    names |= {"int": "a number", "float": "a number"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")
