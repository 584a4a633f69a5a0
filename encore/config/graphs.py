"""Stores that were built from a configuration, and how they stand on each other.

``building`` makes a graph, ``factory`` hands out its store, ``describing`` says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from encore.config.parameters import Parameter

__all__ = ["Node"]


@dataclass(eq=False, slots=True)
class Node:
    """A store of the graph.

    Attributes
    ----------
    name : str
        As the configuration calls it; for an address that stands in place of a name, the address
        without secrets.
    kind : str
        The ``type``, or for an address the class of the store.
    store : Store
    settings : dict
        What it was configured with, as it may be shown.
    values : dict
        What it was made with: never to be shown.
    parameters : dict
        Those of its constructor; empty for an address.
    bases : list of (str, Node)
        The stores that it is over, each with its role: ``"base"``, ``"stores[0]"``.
    location : (str, str)
        What holds it on this machine, ``"file"`` or ``"directory"``, and where; two empty texts if
        nothing does.
    paths : int
        How many ways lead down from it: what a store asks of all beneath it is asked so often.
    """

    name: str
    kind: str
    store: Any
    settings: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    parameters: dict[str, Parameter] = field(default_factory=dict, repr=False)
    bases: list[tuple[str, Node]] = field(default_factory=list)
    location: tuple[str, str] = ("", "")
    paths: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        self.paths = 1 + sum(base.paths for _, base in self.bases)

    def walk(self) -> Iterator[Node]:
        """Yield this store and every one beneath it, once, those above first."""
        seen: dict[int, Node] = {}
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if id(node) not in seen:
                seen[id(node)] = node
                waiting += [base for _, base in reversed(node.bases)]
                yield node

    def close(self) -> None:
        """Close every store; what goes wrong there is nobody's concern any more."""
        for node in self.walk():
            with suppress(Exception):
                node.store.close()
