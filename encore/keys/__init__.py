"""Strings to strings: what a key is, how keys are made, and how they become file names.

=============  ========================================================
`rules`        what is a legal key, what is a prefix
`builder`      `KeyBuilder`: keys from parts
`globs`        globs over keys
`validators`   further rules for one store
`maps`         keys under other names
`escapes`      what has to be escaped in a file name
`names`        one piece of a key <-> one file name
`filenames`    a key <-> a relative path
`ordering`     a tree of files, read in the order of its keys
`probe`        does a file system merge names? (the one place with I/O)
=============  ========================================================

This room knows no store and imports nothing of encore but its errors. The maps are loaded when they
are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from encore.keys.builder import KeyBuilder
from encore.keys.rules import MAX_KEY_BYTES, check_key, check_prefix, prefix_end

if TYPE_CHECKING:
    from encore.keys.maps import Chain, HashPrefix, KeyMap, Prefix, UrlEncoded, Valid

_MAPS = ("Chain", "HashPrefix", "KeyMap", "Prefix", "UrlEncoded", "Valid")

__all__ = [
    "MAX_KEY_BYTES",
    "Chain",
    "HashPrefix",
    "KeyBuilder",
    "KeyMap",
    "Prefix",
    "UrlEncoded",
    "Valid",
    "check_key",
    "check_prefix",
    "prefix_end",
]


def __getattr__(name: str) -> Any:
    if name not in _MAPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("encore.keys.maps"), name)
    globals()[name] = value
    return value
