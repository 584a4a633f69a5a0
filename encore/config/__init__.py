"""Stores from addresses and from configuration files.

==================  ================================================================
`addresses`         ``sqlite:project.db``, ``gzip+dir:data``
`schemes`           what an address can begin with
`prefixes`          what can stand before one
`factory`           `StoreFactory`
`documents`         a configuration as it was written; YAML in `yaml_documents`
`definitions`       the shape of one
`variables`         ``${NAME}``
`kinds`             what ``type`` can be
`parameters`        what a kind of store takes, from its signature
`values`            from YAML to what a parameter wants
`bases`             what stands under ``base``
`building`          from definitions to stores
`graphs`            stores that stand on each other
`describing`        what they promise
`secrecy`           what may be shown
==================  ================================================================

Built on ``storage``; the ``encore`` command and applications import it. What configurations need is
loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from encore.config.addresses import Address, describe_addresses, open_store, parse_address
from encore.config.schemes import Scheme, known_schemes, register_scheme

if TYPE_CHECKING:
    from encore.config.factory import StoreFactory
    from encore.config.kinds import register_store

_HOMES = {
    "StoreFactory": "encore.config.factory",
    "register_store": "encore.config.kinds",
}

__all__ = [
    "Address",
    "Scheme",
    "StoreFactory",
    "describe_addresses",
    "known_schemes",
    "open_store",
    "parse_address",
    "register_scheme",
    "register_store",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
