"""YAML, reduced to what JSON and TOML can say too.

The text is composed by PyYAML's safe loader into nodes, and the nodes become plain values here:
nothing is ever constructed from a tag. Words mean what YAML 1.2 (its core schema) says, so ``no``,
``on`` and ``12:30:00`` are text. An alias stands for a copy, and copies count. ``documents``
imports this module when a file ends in .yaml, and it alone knows of PyYAML (the ``yaml`` extra).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from encore.config.documents import MAX_DEPTH, MAX_VALUES, Place
from encore.errors import ConfigError

_TAG = "tag:yaml.org,2002:"

# YAML 1.2.2, section 10.3.2: pattern, and the characters that one begins with.
_CORE = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
        r"|\.(?:nan|NaN|NAN)",
        [*"-+.0123456789"],
    ),
)

_TOO_MANY = f"there are more than {MAX_VALUES:,} values, an alias being a copy"
_TOO_DEEP = f"values are nested more than {MAX_DEPTH} levels deep"

_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": lambda text: int(text, 0 if text.startswith(("0o", "0x")) else 10),
    "float": lambda text: float(re.sub(r"\.(?=[infaINFA])", "", text)),
}


def parse_yaml(path: str, text: str) -> tuple[Any, dict[Place, int]]:
    """Return what the text says, and on which lines.

    Raises
    ------
    ConfigError
        It is no YAML, or says what a configuration cannot.
    """
    try:
        import yaml
    except ImportError as error:
        raise ConfigError(
            f"{path}: reading YAML needs PyYAML, which is not installed: "
            'pip install "encore[yaml]"; TOML and JSON need nothing'
        ) from error
    try:
        node = yaml.compose(text, Loader=_core_loader())
    except yaml.MarkedYAMLError as error:
        # Its own text quotes the line, which may hold a password.
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or error.context
        raise ConfigError(f"{path}{where}: the file is no YAML: {problem}") from None
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        reason = getattr(error, "reason", type(error).__name__)
        raise ConfigError(f"{path}, line {line}: the file is no YAML: {reason}") from None
    if node is None:
        return None, {}
    reading = _Reading(path)
    return reading.value(node, ()), reading.lines


@lru_cache(maxsize=1)
def _core_loader() -> Any:
    from yaml import SafeLoader
    from yaml.composer import ComposerError

    class CoreLoader(SafeLoader):
        yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  as PyYAML has it
        depth = count = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            # Noticed here, before PyYAML has taken seconds for what is refused anyway.
            self.count += 1
            if self.depth > MAX_DEPTH or self.count > 2 * MAX_VALUES:
                problem = _TOO_DEEP if self.depth > MAX_DEPTH else _TOO_MANY
                raise ComposerError(None, None, problem, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    for name, pattern, first in _CORE:
        CoreLoader.add_implicit_resolver(_TAG + name, re.compile(rf"(?:{pattern})\Z"), first)
    return CoreLoader


class _Reading:
    """From nodes to values, once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self._count = 0
        self._around: list[Any] = []

    def value(self, node: Any, place: Place) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._error(node, _TOO_MANY)
        if any(node is outer for outer in self._around):
            raise self._error(node, "a value contains itself, by an alias")
        if len(place) > MAX_DEPTH:
            raise self._error(node, _TOO_DEEP)
        # An alias is complained about where it stands first, which is where its text is.
        self.lines[place] = node.start_mark.line + 1
        kind = node.tag.removeprefix(_TAG)
        self._around.append(node)
        try:
            if kind == "map" and node.id == "mapping":
                return self._mapping(node, place)
            if kind == "seq" and node.id == "sequence":
                return [self.value(part, (*place, at)) for at, part in enumerate(node.value)]
            return self._scalar(node, kind)
        finally:
            self._around.pop()

    def _mapping(self, node: Any, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, part in node.value:
            name = key.value
            if key.tag != f"{_TAG}str" or not isinstance(name, str):
                raise self._error(key, "a name is text; put it in quotes")
            if name in found:
                raise self._error(key, f"{name!r} is there twice in the same mapping")
            found[name] = self.value(part, (*place, name))
            self.lines[(*place, name)] = key.start_mark.line + 1
        return found

    def _scalar(self, node: Any, kind: str) -> Any:
        convert = _SCALARS.get(kind)
        if convert is None or node.id != "scalar":
            raise self._error(
                node, f"the tag {node.tag!r} has no place here: a file makes no objects"
            )
        try:
            return convert(node.value)
        except (ValueError, KeyError):
            raise self._error(node, f"this is no {kind}") from None

    def _error(self, node: Any, problem: str) -> ConfigError:
        return ConfigError(f"{self.path}, line {node.start_mark.line + 1}: {problem}")
