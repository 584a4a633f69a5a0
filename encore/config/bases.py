"""What a definition says under ``base``: which stores a store is over, each in its role.

A text or a list goes to the first parameter that takes stores; a mapping names the parameters. For
routes a mapping goes from prefixes to stores, and a list has ``{prefix: ..., store: ...}`` or
``{pattern: ..., store: ...}``, where a pattern is a regular expression. ``building`` imports this
module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from encore.config.documents import Document, Place
from encore.config.graphs import Node
from encore.config.parameters import Parameter, Signature
from encore.config.schemes import guess
from encore.config.variables import Substituted, plain

__all__ = ["Bases"]

_FORMS = {"one": "the name of one store", "many": "a list of names"}
_ROUTES = (
    "a mapping from prefixes to stores, or a list of {prefix: ..., store: ...} and "
    "{pattern: ..., store: ...}"
)


class Bases:
    """Reads what stands under ``base``.

    Parameters
    ----------
    document : Document
    place : Place
    kind : str
        For messages.
    signature : Signature
    follow : callable
        ``follow(name, place, parameter)`` returns the `Node` of a name.

    Attributes
    ----------
    found : list of (str, Node)
        The stores, with their roles.
    """

    def __init__(
        self,
        document: Document,
        place: Place,
        kind: str,
        signature: Signature,
        follow: Callable[[Any, Place, Parameter], Node],
    ) -> None:
        self._document = document
        self._place = place
        self._kind = kind
        self._roles = signature.roles
        self._follow = follow
        self.found: list[tuple[str, Node]] = []

    def read(self, spec: Any) -> dict[str, Any]:
        """Return the arguments that are stores.

        Raises
        ------
        ConfigError
        """
        if spec is None:
            return {}
        if not self._roles:
            raise self._error(self._place, f"{self._kind} is over no other store: leave 'base' out")
        first = next(iter(self._roles.values()))
        is_of_roles = isinstance(spec, dict) and (
            first.role != "routes" or (len(self._roles) > 1 and spec.keys() <= self._roles.keys())
        )
        if not is_of_roles:
            return {first.name: self._take(first, spec, self._place)}
        return {
            name: self._take(self._role(name), part, (*self._place, name))
            for name, part in spec.items()
        }

    def _role(self, name: str) -> Parameter:
        if name not in self._roles:
            raise self._error(
                (*self._place, name),
                f"{self._kind} takes no store as {name!r}{guess(name, self._roles)}; it takes "
                f"{', '.join(self._roles)}",
            )
        return self._roles[name]

    def _take(self, parameter: Parameter, spec: Any, place: Place) -> Any:
        if parameter.role == "routes":
            return self._routes(parameter, spec, place)
        if parameter.role == "one" and _is_text(spec):
            return self._store(parameter, spec, place, parameter.name)
        if parameter.role == "many" and isinstance(spec, list) and all(map(_is_text, spec)):
            return [
                self._store(parameter, name, (*place, at), f"{parameter.name}[{at}]")
                for at, name in enumerate(spec)
            ]
        several = (
            f"; name each by its role: {{{', '.join(f'{name}: NAME' for name in self._roles)}}}"
            if len(self._roles) > 1
            else ""
        )
        raise self._error(
            place, f"{self._kind} takes {_FORMS[parameter.role]} as {parameter.name!r}{several}"
        )

    def _routes(self, parameter: Parameter, spec: Any, place: Place) -> list[tuple[Any, Any]]:
        if isinstance(spec, dict):
            return [
                (prefix, self._store(parameter, name, (*place, prefix), f"prefix {prefix!r}"))
                for prefix, name in spec.items()
            ]
        if not isinstance(spec, list):
            raise self._error(place, f"{self._kind} takes {_ROUTES}")
        return [self._route(parameter, part, (*place, at)) for at, part in enumerate(spec)]

    def _route(self, parameter: Parameter, part: Any, place: Place) -> tuple[Any, Any]:
        if not isinstance(part, dict) or sorted(part) not in (
            ["prefix", "store"],
            ["pattern", "store"],
        ):
            raise self._error(place, f"{self._kind} takes {_ROUTES}")
        form = "prefix" if "prefix" in part else "pattern"
        text = part[form]
        if not _is_text(text):
            raise self._error((*place, form), f"a {form} is a text")
        condition: Any = plain(text)
        if form == "pattern":
            try:
                condition = re.compile(condition)
            except re.error:
                condition = None  # its message quotes the pattern
            if condition is None:
                raise self._error((*place, form), f"{text!r} is no regular expression")
        label = f"{form} {text!r}"
        return condition, self._store(parameter, part["store"], (*place, "store"), label)

    def _store(self, parameter: Parameter, name: Any, place: Place, label: str) -> Any:
        if not _is_text(name):
            raise self._error(place, "the name of a store is wanted here")
        node = self._follow(name, place, parameter)
        self.found.append((label, node))
        return node.store

    def _error(self, place: Place, problem: str) -> Exception:
        return self._document.error(place, problem)


def _is_text(value: Any) -> bool:
    return isinstance(value, str | Substituted)
