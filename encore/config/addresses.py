"""Stores from addresses: ``sqlite:project.db``, ``gzip+dir:data``, or just ``project.db``.

An address is a scheme and what it takes, with wrappers joined to it by ``+`` or without, or a path
that says by itself what it is. A bare path never makes anything but an SQLite file whose name ends
like one: what would be guessed is asked.
The face of the room exports what is public here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encore.config.prefixes import AddressPrefix, find_prefix, known_prefixes
from encore.config.schemes import Scheme, find_scheme, guess, known_schemes
from encore.errors import ConfigError

if TYPE_CHECKING:
    from encore.storage.abstract_store import AbstractStore

__all__ = [
    "SQLITE_SUFFIXES",
    "Address",
    "describe_addresses",
    "has_scheme",
    "open_store",
    "parse_address",
]

#: A bare path that ends like this, in capitals or not, is an SQLite file.
SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")

# Two letters at least: C:\data is a path on a drive.
_WITH_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is.

    Attributes
    ----------
    scheme : Scheme
    path : str
        What the scheme takes, with ``~`` expanded; ``""`` for one that takes nothing.
    prefixes : tuple of AddressPrefix
        The wrappers over it, the outermost first.
    """

    scheme: Scheme
    path: str = ""
    prefixes: tuple[AddressPrefix, ...] = ()

    def __str__(self) -> str:
        wrappers = "".join(f"{prefix.name}+" for prefix in self.prefixes)
        path = self.path
        if self.scheme.whole:
            from encore.config.secrecy import hide_login  # only these may hold secrets

            path = hide_login(path)
        return f"{wrappers}{self.scheme.name}:{path}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @property
    def place(self) -> str:
        """What holds the store on this machine: ``"file"``, ``"directory"``, or ``""``, nothing."""
        return self.scheme.locate(self.path)[0]

    @property
    def local_path(self) -> str | None:
        """The file or directory on this machine that holds the store, if one does."""
        place, path = self.scheme.locate(self.path)
        return path if place and path != ":memory:" else None

    def exists(self) -> bool:
        """Whether the file or directory is there; True where there is none to look for."""
        path = self.local_path
        if path is None:
            return True
        return os.path.isdir(path) if self.place == "directory" else os.path.exists(path)

    def open(self, **options: Any) -> AbstractStore:
        """Return the store; see `open_store`."""
        return self.open_layers(**options)[-1]

    def open_layers(self, **options: Any) -> list[AbstractStore]:
        """Return the store and, before it, each one that it is over, the innermost first."""
        known = self.scheme.options() if self.prefixes else ()
        for prefix in self.prefixes:
            options |= {name: value for name, value in prefix.options if name in known}
        layers = [self.scheme.make(self.path, options)]
        for prefix in reversed(self.prefixes):
            layers.append(prefix.wrap(layers[-1]))
        return layers


def open_store(address: str | os.PathLike[str], **options: Any) -> AbstractStore:
    """Return the store at an address. It is opened, and if need be made, on its first use.

    Parameters
    ----------
    address : str or path-like
        ``"sqlite:PATH"``, ``"dir:PATH"``, ``"memory:"``, or another scheme of `known_schemes`; or
        the path of an existing directory, or a path that ends in .db, .sqlite or .sqlite3, whether
        it exists or not. ``~`` is the home directory. A path-like object is always a path.
        ``gzip+``, ``zstd+``, ``base64+`` and ``readonly+`` before a scheme wrap the store:
        ``"gzip+dir:PATH"``.
    **options
        For the store: ``readonly``, ``durability``, ``timeout`` (seconds), ``event_manager``,
        ``index``, as far as it takes them.

    Returns
    -------
    AbstractStore

    Raises
    ------
    ConfigError
        The address is not understood, or the store has no such option.

    Examples
    --------
    >>> import encore
    >>> with encore.open_store("memory:") as store:
    ...     store.put("greeting", b"hello")
    """
    return parse_address(address).open(**options)


def parse_address(address: str | os.PathLike[str]) -> Address:
    """Find out what an address means, without opening anything.

    Raises
    ------
    ConfigError
        It is not understood; the message says what would be.
    """
    text = os.fspath(address)
    if not isinstance(text, str):
        raise ConfigError(f"the address of a store is a str or a path, not {type(text).__name__}")
    if not text or "\0" in text:
        raise ConfigError(f"{text!r} is no address of a store; {describe_addresses()}")
    with_scheme = _WITH_SCHEME.fullmatch(text) if isinstance(address, str) else None
    if with_scheme is None:
        return _bare(text)
    name, path = with_scheme.groups()
    prefixes: tuple[AddressPrefix, ...] = ()
    scheme = find_scheme(name)
    if scheme is None and "+" in name:
        *wrappers, name = name.split("+")
        prefixes = tuple(map(_prefix, wrappers))
        scheme = find_scheme(name)
    if scheme is None:
        # What stands behind an unknown scheme may hold a password: it is not repeated.
        raise ConfigError(
            f"there are no addresses that begin with {name!r} and a colon"
            f"{guess(name.lower(), (known.name for known in known_schemes()))}; "
            f"{describe_addresses()}. A path with a colon in it begins with ./"
        )
    _check_path(scheme, path)
    return Address(scheme, os.path.expanduser(path) if scheme.place else path, prefixes)


def has_scheme(text: str) -> bool:
    """Whether an address says by itself what it is, rather than by what is there."""
    return _WITH_SCHEME.fullmatch(text) is not None


def describe_addresses() -> str:
    """Say in one line what an address can be."""
    forms = ", ".join(f"{scheme.form} ({scheme.description})" for scheme in known_schemes())
    wrappers = ", ".join(f"{prefix.name}+ ({prefix.description})" for prefix in known_prefixes())
    return (
        f"known are {forms}; before any of them {wrappers}; also the path of an existing "
        f"directory, and any path that ends in {', '.join(SQLITE_SUFFIXES[:-1])} or "
        f"{SQLITE_SUFFIXES[-1]}"
    )


def _prefix(name: str) -> AddressPrefix:
    prefix = find_prefix(name)
    if prefix is None:
        known = [f"{known.name}+" for known in known_prefixes()]
        raise ConfigError(
            f"no wrapper of an address is called {f'{name}+'!r}{guess(f'{name.lower()}+', known)}; "
            f"there are {', '.join(known)}"
        )
    return prefix


def _check_path(scheme: Scheme, path: str) -> None:
    if not scheme.takes_path:
        if path:
            raise ConfigError(f"nothing may follow {scheme.form!r} in the address of a store")
    elif not path:
        raise ConfigError(f"'{scheme.name}:' wants more: {scheme.form}, {scheme.description}")
    elif scheme.place and path.startswith("//"):
        # To some programs the slashes belong to the scheme, and to others to the path.
        raise ConfigError(
            f"no slashes follow the colon in the address of a store: write "
            f"'{scheme.name}:{path.lstrip('/')}', or '{scheme.name}:/{path.lstrip('/')}' "
            "for a path from the root"
        )


def _bare(text: str) -> Address:
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        has_index = os.path.isfile(os.path.join(path, ".encore", "index.db"))
        return _at("hashdir" if has_index else "dir", path)
    if path.lower().endswith(SQLITE_SUFFIXES):
        return _at("sqlite", path)
    if os.path.exists(path):
        raise ConfigError(
            f"{text!r} is a file, and its name does not say of which kind; if it is an SQLite "
            f"file, write 'sqlite:{text}'"
        )
    if find_scheme(text) is not None:
        raise ConfigError(f"{text!r} is no address without a colon; {describe_addresses()}")
    raise ConfigError(
        f"there is no {text!r}{_near_name(path)}; 'dir:{text}' would be a directory, "
        f"and 'sqlite:{text}' an SQLite file"
    )


def _at(name: str, path: str) -> Address:
    scheme = find_scheme(name)
    assert scheme is not None
    return Address(scheme, path)


def _near_name(path: str) -> str:
    """A guess at the name that was meant, among those beside it."""
    parent = Path(path).parent
    try:
        with os.scandir(parent) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.is_dir() or entry.name.lower().endswith(SQLITE_SUFFIXES)
            ]
    except OSError:
        return ""
    return guess(Path(path).name, names)
