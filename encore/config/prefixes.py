"""What can stand before an address: ``gzip+dir:PATH`` is a directory of compressed files.

Each prefix is a wrapper; the leftmost is the outermost. ``addresses`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encore.storage.abstract_store import AbstractStore

__all__ = ["AddressPrefix", "find_prefix", "known_prefixes"]


@dataclass(frozen=True, slots=True)
class AddressPrefix:
    """A wrapper, as an address names it.

    Attributes
    ----------
    name : str
        What stands before the ``+``.
    description : str
        What it makes of the store behind it, in a few words.
    wrapper : str
        The class, in ``storage.api``.
    options : dict
        What the store behind it is asked for, if it has such an option.
    """

    name: str
    description: str
    wrapper: str
    options: tuple[tuple[str, Any], ...] = ()

    def wrap(self, base: AbstractStore) -> AbstractStore:
        """Return the store over another one."""
        wrapper: Callable[..., AbstractStore] = getattr(
            import_module("encore.storage.api"), self.wrapper
        )
        return wrapper(base)


_PREFIXES = {
    prefix.name: prefix
    for prefix in (
        AddressPrefix("base64", "data in base64", "Base64Store"),
        AddressPrefix("gzip", "data compressed with gzip", "GzipStore"),
        # The store itself too, where it can: what is read only should not be made either.
        AddressPrefix("readonly", "for reading only", "ReadonlyStore", (("readonly", True),)),
        AddressPrefix("zstd", "data compressed with Zstandard", "ZstdStore"),
    )
}


def known_prefixes() -> tuple[AddressPrefix, ...]:
    """Every prefix, by name."""
    return tuple(_PREFIXES[name] for name in sorted(_PREFIXES))


def find_prefix(name: str) -> AddressPrefix | None:
    """Return the prefix of that name, in capitals or not; None if there is none."""
    return _PREFIXES.get(name.lower())
