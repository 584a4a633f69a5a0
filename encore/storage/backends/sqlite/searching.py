"""Metadata queries: what SQLite can decide, and what is left to Python.

``metadata -> '$."field"'`` is the JSON text of a field, which tells types apart as JSON does:
``"1"``, ``1`` and ``true`` are three texts. All metadata is written by one encoder, so equal
scalars have equal texts; only a number may have two, as an integer and as a fraction. The same
expression, with the key behind it, makes a declared index, in which the keys of a query are found
in their order. (Its sibling ``json_extract`` gives SQL values, which confuse true with 1 and end
at a NUL.)

What texts cannot decide is compared in Python: lists and objects (the order of names), and fields
whose name cannot be written into a path. Only this folder imports this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from encore.errors import ConfigError
from encore.storage.backends.sqlite import statements as sql
from encore.storage.metadata import decode_metadata, encode_metadata, matches

_PLAIN_NAME = re.compile(r"""[^"'\\\x00-\x1f\[\]]{1,200}""")
_PREFIX = "field_"


def field_expression(name: str) -> str | None:
    """The SQL for the JSON text of a field; None if its name does not fit into a path."""
    if _PLAIN_NAME.fullmatch(name) is None or not name.isascii():
        return None
    return f"""metadata -> '$."{name}"'"""


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


def _texts(value: Any) -> list[str] | None:
    """The JSON texts that a scalar can have in metadata; None where texts do not decide."""
    if isinstance(value, (dict, list)):
        return None
    numbers = [value]
    if not isinstance(value, bool) and isinstance(value, (int, float)):
        with suppress(OverflowError):
            numbers += [other for other in (int(value), float(value)) if other == value]
        if value == 0:
            numbers += [0.0, -0.0]
    return sorted({encode_metadata({"": number})[4:-1] for number in numbers})


class Search:
    """A query, split into SQL and the rest.

    Parameters
    ----------
    where : mapping
        Fields and the values they must have, as they come back from JSON.
    """

    def __init__(self, where: Mapping[str, Any]) -> None:
        self.rest: dict[str, Any] = {}
        self._parameters: list[str] = []
        self._conditions = ""
        for name, value in where.items():
            expression, texts = field_expression(name), _texts(value)
            if expression is None or texts is None:
                self.rest[name] = value
                continue
            places = ",".join("?" * len(texts))
            self._conditions += f" AND {expression} IN ({places})"
            self._parameters += texts

    def pages(self, fetch: Any, columns: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield pages of rows in the order of the keys; the first column is the key."""
        statement = (
            f"SELECT {columns} FROM kv WHERE key>?{self._conditions} ORDER BY key LIMIT {sql.PAGE}"
        )
        after = ""
        while True:
            rows = fetch(statement, (after, *self._parameters))
            if rows:
                yield rows
            if len(rows) < sql.PAGE:
                return
            after = rows[-1][0]

    def run(self, fetch: Any) -> Iterator[tuple[str, str]]:
        """Yield the keys with their metadata text."""
        for page in self.pages(fetch, "key, metadata"):
            if self.rest:
                for key, text in page:
                    if matches(decode_metadata(text), self.rest):
                        yield key, text
            else:
                yield from page
