"""From what makes a store to what makes an asynchronous face of one, signature and all.

Only this room imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from encore.aio.core import AsyncCore
from encore.aio.store import AsyncStore
from encore.storage.template import Store

P = ParamSpec("P")

#: What can be given where a synchronous constructor takes a store.
AnyStore = Store | AsyncCore


def face_for(store: Store) -> AsyncStore:
    """Return an asynchronous face of a store: the one that suits it best."""
    if type(store).__name__ == "BucketStore":
        from encore.aio.bucket import AsyncBucketStore
        from encore.storage.backends.bucket import BucketStore

        if isinstance(store, BucketStore):
            return AsyncBucketStore.over(store)
    return AsyncStore(store)


def face_of(maker: Callable[P, Store]) -> Callable[P, AsyncStore]:
    """A constructor of faces that takes what ``maker`` takes."""
    return _faces(maker)


def face_over(
    maker: Callable[Concatenate[Store, P], Store],
) -> Callable[Concatenate[AnyStore, P], AsyncStore]:
    """The same for a wrapper: what it wraps may be asynchronous."""
    return _faces(maker)


def face_over_two(
    maker: Callable[Concatenate[Store, Store, P], Store],
) -> Callable[Concatenate[AnyStore, AnyStore, P], AsyncStore]:
    """The same for a store over two."""
    return _faces(maker)


def face_over_several(
    maker: Callable[Concatenate[Sequence[Store], P], Store],
) -> Callable[Concatenate[Sequence[AnyStore], P], AsyncStore]:
    """The same for a store over several."""
    return _faces(maker)


def _faces(maker: Callable[..., Store]) -> Callable[..., AsyncStore]:
    name = f"Async{maker.__name__}"

    @wraps(maker, updated=())
    def make(*args: Any, **kwargs: Any) -> AsyncStore:
        faces: list[AsyncCore] = []
        made = maker(
            *(_without_faces(value, faces) for value in args),
            **{key: _without_faces(value, faces) for key, value in kwargs.items()},
        )
        face = AsyncStore(made)
        face._beneath = tuple(faces)
        return face

    make.__name__ = make.__qualname__ = name
    make.__module__ = "encore.aio"
    make.__doc__ = (
        f"Return an `AsyncStore` over a new `{maker.__name__}`.\n\n"
        f"It takes what `{maker.__name__}` takes; a store beneath may be asynchronous."
    )
    return make


def _without_faces(value: Any, faces: list[AsyncCore]) -> Any:
    """The synchronous stores in an argument, in place of their faces."""
    if isinstance(value, AsyncCore):
        faces.append(value)
        return value.store
    if type(value) in (list, tuple):
        return type(value)(_without_faces(one, faces) for one in value)
    if type(value) is dict:
        return {key: _without_faces(one, faces) for key, one in value.items()}
    return value
