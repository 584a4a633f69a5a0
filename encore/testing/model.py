"""What a store should be after a program: plain dictionaries, one for each level of nesting.

Also the events that the program should have caused, derived from nothing but the difference
between two dictionaries and the order in which keys were touched. Only ``machine`` imports this
module.
"""

from __future__ import annotations

import json
from typing import Any

Content = tuple[bytes, str]  # data, and metadata as JSON text


def as_text(metadata: Any) -> str:
    """Metadata in a form that can be compared: tells ``1`` from ``True`` and from ``1.0``."""
    return json.dumps(metadata)


def equal_json(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal as queries have it."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal_json, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal_json(a[name], b[name]) for name in a)
    return type(a) is type(b) and bool(a == b)


class Model:
    """Dictionaries key -> (data, metadata), one for each open block, over the committed one."""

    def __init__(self) -> None:
        self._states: list[dict[str, Content]] = [{}]
        self._touched: list[list[str]] = []
        self.events: list[tuple[str, str, str | None]] = []  # action, key, metadata

    @property
    def depth(self) -> int:
        return len(self._states) - 1

    @property
    def committed(self) -> dict[str, Content]:
        return self._states[0]

    @property
    def now(self) -> dict[str, Content]:
        """What the owner of the open transaction sees."""
        return self._states[-1]

    def begin(self) -> None:
        self._states.append(dict(self.now))
        self._touched.append([])

    def rollback(self) -> None:
        self._states.pop()
        self._touched.pop()

    def commit(self) -> None:
        state, touched = self._states.pop(), self._touched.pop()
        before, self._states[-1] = self._states[-1], state
        if self._touched:
            self._touched[-1] += touched
            return
        for key in dict.fromkeys(touched):
            if key in state:
                action = "update" if key in before else "set"
                self.events.append((action, key, state[key][1]))
            elif key in before:
                self.events.append(("delete", key, None))

    def put(self, key: str, data: bytes, metadata: str) -> None:
        self._touch(key)
        self.now[key] = (data, metadata)

    def delete(self, key: str) -> None:
        self._touch(key)
        del self.now[key]

    def _touch(self, key: str) -> None:
        self._touched[-1].append(key)
