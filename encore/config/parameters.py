"""What makes a store, seen from a configuration: its parameters, and which of them are stores.

Read from the signature and its annotations, as text: nothing is imported to understand them. The
one table of names is `ROLES`; what a file can say instead of an object is in ``values``.
``building`` imports this module.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Parameter", "Signature", "signature_of"]

#: How many stores a parameter takes that has one of these names, where its annotation says nothing:
#: one, many (a list), or routes (pairs of what keys match, and a store).
ROLES = {
    "base": "one",
    "main_store": "one",
    "cache_store": "one",
    "mount_store": "one",
    "backing_store": "one",
    "stores": "many",
    "routes": "routes",
}

_A_STORE = re.compile(r"\b\w*Store\b")
_NO_STORE = frozenset(("Callable", "type", "Mapping", "dict", "Literal"))
_SILENT = frozenset(("", "Any", "object"))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of what makes a store.

    Attributes
    ----------
    name : str
    kinds : frozenset of str
        The alternatives of its annotation, without brackets and modules: ``{"int", "None"}``.
    role : str
        ``"one"``, ``"many"`` or ``"routes"`` if it takes stores, else ``""``.
    is_required : bool
    way : inspect kind
        How it is passed.
    default : object
    """

    name: str
    kinds: frozenset[str]
    role: str
    is_required: bool
    way: Any
    default: Any

    @property
    def is_path(self) -> bool:
        """Whether it takes a path on this machine."""
        return bool(self.kinds & {"PathLike", "Path", "PurePath"})


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of what makes a store.

    Attributes
    ----------
    parameters : dict
        By name, in order.
    takes_more : bool
        Whether arguments of other names are passed on.
    """

    parameters: dict[str, Parameter]
    takes_more: bool

    @property
    def roles(self) -> dict[str, Parameter]:
        """The parameters that take stores."""
        return {name: one for name, one in self.parameters.items() if one.role}

    @property
    def options(self) -> list[str]:
        """The names of the others."""
        return [name for name, one in self.parameters.items() if not one.role]

    def call(self, maker: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Make the store."""
        arguments = dict(arguments)
        positional: list[Any] = []
        for name, parameter in self.parameters.items():
            if name not in arguments:
                continue
            if parameter.way is inspect.Parameter.POSITIONAL_ONLY:
                positional.append(arguments.pop(name))
            elif parameter.way is inspect.Parameter.VAR_POSITIONAL:
                positional += arguments.pop(name)
        return maker(*positional, **arguments)


def signature_of(maker: Callable[..., Any]) -> Signature:
    """Return the parameters of a class or function.

    Raises
    ------
    ValueError
        It does not tell.
    """
    function = maker.__init__ if isinstance(maker, type) else maker  # type: ignore[misc]
    names = getattr(function, "__globals__", {})
    parameters = {}
    takes_more = False
    for found in inspect.signature(maker).parameters.values():
        if found.kind is inspect.Parameter.VAR_KEYWORD:
            takes_more = True
            continue
        text = ""
        if found.annotation is not inspect.Parameter.empty:
            annotation = found.annotation
            text = (
                annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
            )
        several = found.kind is inspect.Parameter.VAR_POSITIONAL
        kinds = frozenset(_kinds(text, names))
        role = _role(found.name, text, kinds, several=several)
        if several and not role:
            continue
        is_required = found.default is inspect.Parameter.empty and not several
        parameters[found.name] = Parameter(
            found.name, kinds, role, is_required, found.kind, found.default
        )
    return Signature(parameters, takes_more)


def _role(name: str, text: str, kinds: frozenset[str], *, several: bool) -> str:
    known = ROLES.get(name, "")
    if kinds <= _SILENT:
        return known
    if kinds & _NO_STORE or not _A_STORE.search(text):
        return ""
    if known == "routes":
        return known
    in_brackets = not any(_A_STORE.fullmatch(kind) for kind in kinds)
    return "many" if several or in_brackets else "one"


def _kinds(text: str, names: dict[str, Any]) -> Iterator[str]:
    """The alternatives of an annotation; an alias of the maker's module counts as what it means."""
    for part in _split(text, "|"):
        head, _, inner = part.partition("[")
        head = head.rpartition(".")[2].strip()
        meaning = names.get(head) if head.isidentifier() else None
        if head == "Optional":
            yield from ("None", *_kinds(inner.removesuffix("]"), names))
        elif head == "Union":
            yield from _kinds(" | ".join(_split(inner.removesuffix("]"), ",")), names)
        elif not inner and getattr(meaning, "__args__", None) and not isinstance(meaning, type):
            # An alias of a callable is known by its own name.
            aliased = set(_kinds(str(meaning).replace("typing.", ""), {}))
            yield from {head} if "Callable" in aliased else aliased
        else:
            yield head


def _split(text: str, separator: str) -> list[str]:
    """Split where no bracket is open."""
    parts, depth = [""], 0
    for char in text.strip("'\" "):
        depth += (char in "[(") - (char in "])")
        if char == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]
