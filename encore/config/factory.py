"""`StoreFactory`: stores from a configuration, by name.

Also what stands behind ``config:FILE#NAME`` in an address. The face of the room exports what is
public here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from encore.config.building import Builder
from encore.config.definitions import read_definitions
from encore.config.describing import describe
from encore.config.documents import Place, read_document
from encore.config.graphs import Node
from encore.config.schemes import guess
from encore.errors import ConfigError

if TYPE_CHECKING:
    from encore.aio import AsyncStore
    from encore.storage.template import Store

__all__ = ["StoreFactory", "locate_configured", "open_configured"]


class StoreFactory:
    """Stores as a configuration describes them.

    The configuration is read and checked for its shape at once; variables are looked up, and stores
    made, when one is built.

    Parameters
    ----------
    source : path-like or mapping
        A file that ends in .yaml, .yml (with the ``yaml`` extra), .toml or .json, or what such a
        file would say.
    environ : mapping of str to str, optional
        Where variables are looked up; by default the environment of the process, each time.

    Raises
    ------
    ConfigError
        The file cannot be read, or does not have the shape of a configuration. The message names
        the place.

    Notes
    -----
    *Threads*: any number may build at once; a factory does not change.

    Examples
    --------
    >>> from encore.config import StoreFactory
    >>> factory = StoreFactory(
    ...     {
    ...         "main": "texts",
    ...         "stores": {
    ...             "data": "memory:",
    ...             "texts": {"type": "PrefixStore", "base": "data", "config": {"prefix": "t/"}},
    ...         },
    ...     }
    ... )
    >>> with factory.build() as store:
    ...     store.put("greeting", b"hello")
    ...     store.base.read("t/greeting")
    b'hello'
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Mapping[str, Any],
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._document = read_document(source)
        self._main, self._definitions = read_definitions(self._document)
        self._environ = environ

    def __repr__(self) -> str:
        source = "of a mapping" if self.path is None else repr(self.path)
        return f"<StoreFactory {source}: {', '.join(self._definitions) or 'an address'}>"

    @property
    def path(self) -> str | None:
        """The file; None for a mapping."""
        return self._document.path

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stores, in the order of the configuration."""
        return tuple(self._definitions)

    def build(self, name: str | None = None, *, readonly: bool = False) -> Store:
        """Return a store; it and those beneath are opened on its first use, and closed with it.

        Within one call a name stands for one store, however often it is used. Every call makes
        stores of its own: two graphs share nothing but files.

        Parameters
        ----------
        name : str, optional
            One of `names`; by default the main store.
        readonly : bool, optional
            Refuse every write, and make no file that is missing. What is used as a ``cache_store``
            is written all the same, since reading fills it.

        Returns
        -------
        Store

        Raises
        ------
        ConfigError
            There is no such store, or it, or one beneath it, cannot be made as the configuration
            says. The message names the place, and neither secrets nor what variables held.
        """
        builder, node = self._graph(name, readonly=readonly)
        store: Store = node.store
        if readonly and not builder.is_guarded:
            from encore.storage.api import ReadonlyStore

            store = ReadonlyStore(store)
        return store

    def build_async(self, name: str | None = None, *, readonly: bool = False) -> AsyncStore:
        """Return an asynchronous face of a store, whatever face its ``type`` names.

        Parameters and errors are those of `build`.
        """
        from encore.aio import face_for

        return face_for(self.build(name, readonly=readonly))

    def describe(self, name: str | None = None) -> dict[str, Any]:
        """Say what a store would be and promise, without opening anything.

        Parameters
        ----------
        name : str, optional
            One of `names`; by default the main store.

        Returns
        -------
        dict
            Of JSON: ``name``, ``type``, ``config`` (as configured, secrets hidden), ``shared``
            (whether more than one store is over it), ``promises`` and ``bases``: a list of such
            dictionaries, each with its ``role``. The second time a shared store has ``repeated``
            instead of these two. ``promises`` are ``transactions``, ``durability`` (what a commit
            survives: a crash of the ``"process"``, ``"power"`` cuts, or ``"none"``), ``listing``
            (``"ordered"``, ``"collected"``: ordered in memory, or ``"none"``), ``key_bytes``,
            ``streaming`` (whether large values take constant memory) and ``readonly``, each None
            where only opening the store could tell.

        Raises
        ------
        ConfigError
            As `build`.
        """
        _, node = self._graph(name, readonly=False)
        try:
            return describe(node)
        finally:
            node.close()

    def locate(self, name: str | None = None) -> tuple[str, str]:
        """What holds a store on this machine: ``"file"`` or ``"directory"``, and its path.

        Two empty texts if that is not one file or directory.
        """
        _, node = self._graph(name, readonly=False)
        try:
            while len(node.bases) == 1:
                node = node.bases[0][1]
            return ("", "") if node.bases else node.location
        finally:
            node.close()

    def _graph(self, name: str | None, *, readonly: bool) -> tuple[Builder, Node]:
        place: Place = ("main",)
        wanted: Any = self._main
        if name is not None:
            if name not in self._definitions:
                raise self._document.error(
                    (),
                    f"there is no store {name!r}{guess(name, self._definitions)}; there are "
                    f"{', '.join(self._definitions)}",
                )
            wanted, place = name, ("stores", name)
        elif wanted is None:
            raise self._document.error(
                (),
                "there is no 'main', which says what store is meant without a name; there are "
                f"{', '.join(self._definitions)}",
            )
        environ = os.environ if self._environ is None else self._environ
        builder = Builder(self._document, self._definitions, environ, readonly=readonly)
        return builder, builder.build(wanted, place)


def open_configured(address: str, *, readonly: bool = False) -> Store:
    """Return the store at ``FILE`` or ``FILE#NAME``."""
    factory, name = _find(address)
    return factory.build(name, readonly=readonly)


def locate_configured(address: str) -> tuple[str, str]:
    """What holds the store at ``FILE`` or ``FILE#NAME``; see `StoreFactory.locate`."""
    factory, name = _find(address)
    return factory.locate(name)


def _find(address: str) -> tuple[StoreFactory, str | None]:
    path, mark, name = address.rpartition("#")
    if not mark or os.path.exists(os.path.expanduser(address)):
        return StoreFactory(address), None
    if not path or not name:
        raise ConfigError("the address of a configured store is config:FILE or config:FILE#NAME")
    return StoreFactory(path), name
