"""Metadata queries: what SQLite can decide, and what is left to Python.

``json_extract(metadata, '$."field"')`` gives a field as an SQL value. The same expression, with the
key behind it, makes a declared index, which then covers the query. SQL values are coarser than
JSON: true is 1, and a list is its text. Where that could matter, ``json_type`` is asked as well.

What SQL cannot decide is compared in Python: lists and objects (the order of names), numbers beyond
64 bits, and fields whose name cannot be written into a path. For a fraction SQL narrows the search
to its neighbourhood, since its reading of decimal digits may be off in the last place. Only this
folder imports this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from encore.errors import ConfigError
from encore.storage.backends.sqlite import statements as sql
from encore.storage.metadata import decode_metadata, matches

_PLAIN_NAME = re.compile(r"""[^"'\\\x00-\x1f\[\]]{1,200}""")
_PREFIX = "field_"
_INTEGERS = range(-(1 << 63), 1 << 63)
_EXACT = 1 << 53  # below it every integer is a float
_NEIGHBOURHOOD = 1e-12  # relative; some thousand times what reading digits can be off

_Condition = tuple[str, list[Any], bool]


def field_expression(name: str, function: str = "json_extract") -> str | None:
    """The SQL for a field; None if its name does not fit into a path."""
    if _PLAIN_NAME.fullmatch(name) is None or not name.isascii():
        return None
    return f"""{function}(metadata,'$."{name}"')"""


def index_statements(fields: Iterable[str]) -> dict[str, str]:
    """Return the SQL that declares an index for each of the fields, by the name of the index.

    Raises
    ------
    ConfigError
        A field has a name that cannot be indexed.
    """
    statements = {}
    for name in fields:
        expression = field_expression(name)
        if expression is None:
            raise ConfigError(
                f"the field {name!r} cannot be indexed: its name has quotes, brackets, control "
                "or non-ASCII characters, or is too long"
            )
        index = _PREFIX + name.encode().hex()
        statements[index] = f"CREATE INDEX {index} ON kv({expression}, key)"
    return statements


def is_our_index(index: str, statement: str) -> bool:
    """Whether an index found in a file is one that `index_statements` declares."""
    try:
        field = bytes.fromhex(index.removeprefix(_PREFIX)).decode()
        return index_statements([field]) == {index: statement}
    except (ValueError, ConfigError):
        return False


def _condition(name: str, value: Any) -> _Condition | None:
    """SQL that holds where a field has a value, its parameters, and whether it decides alone.

    None where SQL can say nothing.
    """
    extracted, kind = field_expression(name), field_expression(name, "json_type")
    if extracted is None:
        return None
    if value is None:
        return f"{extracted} IS NULL AND {kind}='null'", [], True
    if isinstance(value, bool):
        return f"{extracted}=? AND {kind}=?", [int(value), str(value).lower()], True
    if isinstance(value, str):
        if not value.isprintable():
            return None
        if value.startswith(("[", "{")):
            return f"{extracted}=? AND {kind}='text'", [value], True
        return f"{extracted}=?", [value], True
    if isinstance(value, (int, float)):
        return _number(value, extracted, kind)
    return None


def _number(value: float, extracted: str, kind: str | None) -> _Condition | None:
    if not float(value).is_integer():
        spread = abs(value) * _NEIGHBOURHOOD
        return f"{extracted} BETWEEN ? AND ?", [value - spread, value + spread], False
    if int(value) not in _INTEGERS:
        return None
    if value in (0, 1):
        return f"{extracted}=? AND {kind} IN ('integer','real')", [int(value)], True
    return f"{extracted}=?", [int(value)], abs(value) < _EXACT


class Search:
    """A query, split into SQL and the rest.

    Parameters
    ----------
    where : mapping
        Fields and the values they must have, as they come back from JSON.
    """

    def __init__(self, where: Mapping[str, Any]) -> None:
        self.rest: dict[str, Any] = {}
        self._parameters: list[Any] = []
        self._conditions = ""
        for name, value in where.items():
            condition = _condition(name, value)
            if condition is not None:
                self._conditions += f" AND {condition[0]}"
                self._parameters += condition[1]
            if condition is None or not condition[2]:
                self.rest[name] = value

    def pages(self, execute: Any, columns: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield pages of rows in the order of the keys; the first column is the key."""
        statement = (
            f"SELECT {columns} FROM kv WHERE key>?{self._conditions} ORDER BY key LIMIT {sql.PAGE}"
        )
        after = ""
        while True:
            rows = execute(statement, (after, *self._parameters)).fetchall()
            if rows:
                yield rows
            if len(rows) < sql.PAGE:
                return
            after = rows[-1][0]

    def run(self, execute: Any) -> Iterator[tuple[str, str]]:
        """Yield the keys with their metadata text."""
        for page in self.pages(execute, "key, metadata"):
            if self.rest:
                for key, text in page:
                    if matches(decode_metadata(text), self.rest):
                        yield key, text
            else:
                yield from page
