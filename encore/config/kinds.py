"""The kinds of store that a configuration can name by ``type``.

Those of ``storage.api`` by the names of their classes, or by those of their asynchronous faces
(``AsyncGzipStore``), `ServiceStore` by its address, those that a program registers, and those that
an installed package offers as entry points of the group ``encore.stores``. A configuration never
names a module: what it can make is decided by who wrote and installed the program.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, overload

from encore.config.schemes import guess

__all__ = ["ENTRY_POINTS", "UnknownKind", "built_in_kinds", "find_kind", "register_store"]

#: The group of entry points: name of the type, object that makes the store.
ENTRY_POINTS = "encore.stores"

# Made to be inherited from.
_BASES = frozenset(
    (
        "AbstractStore",
        "BackendStore",
        "CodecStore",
        "ComposedStore",
        "HiddenFieldStore",
        "InterceptingStore",
        "KeyMapStore",
        "LayeredStore",
        "StagedStore",
        "Store",
        "WatchingStore",
        "WrapperStore",
    )
)

# What is made by a function of a floor above, which is loaded when it is asked for.
_ABOVE = {"ServiceStore": ("encore.service.addresses", "open_service")}

_M = TypeVar("_M", bound=Callable[..., Any])

_registered: dict[str, Callable[..., Any]] = {}


class UnknownKind(LookupError):  # noqa: N818  never leaves the room
    """There is no such type, or it cannot be loaded; the text says so without the name."""


def built_in_kinds() -> tuple[str, ...]:
    """The names of encore's own stores, in order."""
    api = import_module("encore.storage.api")
    return tuple(
        sorted(name for name in api.__all__ if name.endswith("Store") and name not in _BASES)
    )


@overload
def register_store(maker: _M, name: str | None = None) -> _M: ...
@overload
def register_store(maker: None = None, name: str | None = None) -> Callable[[_M], _M]: ...
def register_store(maker: Any = None, name: str | None = None) -> Any:
    """Make a kind of store known to configurations. Also a decorator, with or without a name.

    Parameters
    ----------
    maker : callable, optional
        A class of stores, or a function that returns a store. Its parameters are the arguments in a
        configuration. One whose annotation is a store, or that is called ``base``, takes the store
        beneath; one annotated as path-like takes a path.
    name : str, optional
        The ``type`` in configurations; by default the name of the class or function.

    Returns
    -------
    callable
        ``maker`` itself, or without one a decorator.

    Raises
    ------
    ValueError
        encore has a store of that name, or another one is registered under it.
    TypeError
        ``maker`` makes nothing, or there is no name to call it by.

    Examples
    --------
    >>> from encore.config import StoreFactory, register_store
    >>> from encore.storage.api import DictStore
    >>> @register_store(name="Scratch")
    ... def scratch(label: str = "") -> DictStore:
    ...     return DictStore()
    >>> StoreFactory({"main": "s", "stores": {"s": {"type": "Scratch"}}}).build()
    <DictStore ...>
    """
    if maker is None:
        return lambda found: register_store(found, name)
    if not callable(maker):
        raise TypeError(f"a {type(maker).__name__} makes no stores: a class or a function does")
    if name is None:
        name = getattr(maker, "__name__", "<>")
    if not isinstance(name, str) or not name.replace(".", "_").replace("-", "_").isidentifier():
        raise TypeError(
            "a kind of store has a name, letters and digits, '_', '-' and '.': name=..."
        )
    if _without_face(name) in (*built_in_kinds(), *_BASES, *_ABOVE):
        raise ValueError(f"encore has a store {name!r} itself; register yours by another name=")
    if _registered.setdefault(name, maker) is not maker:
        raise ValueError(
            f"another store is registered as {name!r}; register yours by another name="
        )
    return maker


def find_kind(name: str) -> Callable[..., Any]:
    """Return what makes stores of a kind.

    Raises
    ------
    UnknownKind
        There is none of that name, or it cannot be loaded.
    """
    name = _without_face(name)
    if name in built_in_kinds():
        try:
            return getattr(import_module("encore.storage.api"), name)  # type: ignore[no-any-return]
        except ImportError as error:
            raise UnknownKind(f"this kind of store cannot be loaded: {error}") from error
    if name in _ABOVE:
        module, function = _ABOVE[name]
        return getattr(import_module(module), function)  # type: ignore[no-any-return]
    if name in _registered:
        return _registered[name]
    return _installed(name)


def _without_face(name: str) -> str:
    """The kind of a store that is named as an asynchronous one; how it is used is said later."""
    kind = name.removeprefix("Async")
    return kind if kind in built_in_kinds() else name


def _installed(name: str) -> Callable[..., Any]:
    from importlib.metadata import entry_points  # slow to import, and rarely needed

    offered = entry_points(group=ENTRY_POINTS)
    found = {point.value: point for point in offered if point.name == name}
    if not found:
        known = sorted(
            {*built_in_kinds(), *_ABOVE, *_registered, *(point.name for point in offered)}
        )
        what = "it is there to be inherited from; " if name in _BASES else ""
        raise UnknownKind(
            f"there is no such kind of store{guess(name, known)}; {what}there are "
            f"{', '.join(known)}"
        )
    if len(found) > 1:
        raise UnknownKind(f"several packages offer it: {' and '.join(sorted(found))}; remove one")
    (point,) = found.values()
    try:
        maker = point.load()
    except Exception as error:
        raise UnknownKind(
            f"the entry point {point.value!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(maker):
        raise UnknownKind(f"the entry point {point.value!r} makes no stores")
    return maker  # type: ignore[no-any-return]
