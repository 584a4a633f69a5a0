"""Stores of a configuration that are given by their address. ``building`` imports this module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from encore.config.addresses import parse_address
from encore.config.graphs import Node
from encore.config.parameters import signature_of
from encore.config.secrecy import hide_login
from encore.config.values import local_path
from encore.config.variables import Substituted, plain, written
from encore.errors import ConfigError

__all__ = ["node_at"]


def node_at(value: Any, folder: str | None, *, readonly: bool) -> tuple[Node, bool]:
    """Return the store at an address, and whether it was opened for reading only.

    Parameters
    ----------
    value : str or Substituted
    folder : str or None
        Where relative paths begin.
    readonly : bool
        Whether to open it for reading only, if it can be.

    Raises
    ------
    ConfigError
        The address is not understood, or leads to another configuration.
    """
    address = parse_address(plain(value))
    if address.scheme.name == "config":
        raise ConfigError("a configuration does not lead to another one")
    if address.scheme.place:
        address = replace(address, path=local_path(address.path, folder))
    can = "readonly" in address.scheme.options()
    options: dict[str, Any] = {"readonly": True} if readonly and can else {}
    layers = address.open_layers(**options)
    parameters = signature_of(address.scheme.load()).parameters
    if address.scheme.takes_path:
        options[next(iter(parameters))] = address.path
    names = _names(value, len(layers))
    node = Node(
        names[0],
        type(layers[0]).__name__,
        layers[0],
        {"address": names[0]},
        options,
        parameters,
        location=(address.place, address.local_path) if address.local_path else ("", ""),
    )
    for name, store in zip(names[1:], layers[1:], strict=True):
        kind = type(store).__name__
        node = Node(name, kind, store, {"address": name}, bases=[("base", node)])
    return node, can


def _names(value: Any, count: int) -> list[str]:
    """What each layer of an address is called, the innermost first."""
    outermost = hide_login(written(value))
    if isinstance(value, Substituted):  # where it is divided is in the variable, perhaps
        return [outermost] * count
    return [outermost.split("+", depth)[depth] for depth in reversed(range(count))]
