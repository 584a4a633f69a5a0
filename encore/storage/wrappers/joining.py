"""Several stores seen as one: joined one above the other, mounted in one another, or by routes.

``storage.api`` shows what is public here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from encore.errors import InvalidKeyError
from encore.keys.maps import KeyMap
from encore.keys.rules import MAX_KEY_BYTES
from encore.storage.template import Store
from encore.storage.wrappers.keymaps import KeyMapStore
from encore.storage.wrappers.layers import LayeredStore

Pattern: TypeAlias = "str | re.Pattern[str]"


class JoinedStore(LayeredStore):
    """The keys of several stores together; where two have a key, the first one's value counts.

    Everything is written to the first store: a value of another one that is changed is there from
    then on. Deleting takes a key from every store that has it, since it would come back otherwise;
    that is refused, and nothing deleted, if one of those is read-only.

    Parameters
    ----------
    stores : sequence of Store
    timeout : float, optional
        Seconds to wait for another writer, for each store.
    """

    def __init__(self, stores: Sequence[Store], *, timeout: float = 5.0) -> None:
        super().__init__(stores, timeout=timeout)
        self.stores = self._parts

    def _writable(self) -> Iterable[Store]:
        return self._parts[:1]

    def _layers(self, key: str) -> Sequence[Store]:
        return self._parts

    def _home(self, key: str) -> Store:
        return self._parts[0]


@dataclass(frozen=True, slots=True)
class Mounted(KeyMap):
    """Keys with a mount point before their names in the base."""

    mount_point: str

    @property
    def keeps_order(self) -> bool:
        return True

    def to_base(self, key: str) -> str:
        return key.removeprefix(self.mount_point) if key.startswith(self.mount_point) else ""

    def from_base(self, key: str) -> str | None:
        mounted = self.mount_point + key
        return mounted if len(mounted.encode()) <= MAX_KEY_BYTES else None

    def prefix_to_base(self, prefix: str) -> str | None:
        return self.to_base(prefix)

    def longest_key(self, limit: int) -> int:
        return min(limit + len(self.mount_point.encode()), MAX_KEY_BYTES)


class MountedStore(LayeredStore):
    """A store mounted in another, like a disk in a tree of directories.

    What is written under the mount point goes to the mounted store, everything else to the backing
    store. Under the mount point the mounted store's values hide those that the backing store has.

    Parameters
    ----------
    mount_point : str
        The beginning of the keys that are found in ``mount_store``, where they lack it:
        ``"session/"``.
    mount_store, backing_store : Store
    timeout : float, optional
        Seconds to wait for another writer, for each store.
    """

    def __init__(
        self,
        mount_point: str,
        mount_store: Store,
        backing_store: Store,
        *,
        timeout: float = 5.0,
    ) -> None:
        self.mount_point = mount_point
        self.mount_store = mount_store
        self.backing_store = backing_store
        view = KeyMapStore(mount_store, Mounted(mount_point))
        super().__init__([view, backing_store], timeout=timeout)

    def _layers(self, key: str) -> Sequence[Store]:
        return self._parts if self._is_under(key) else self._parts[1:]

    def _is_under(self, key: str) -> bool:
        return key.startswith(self.mount_point) and key != self.mount_point

    def _home(self, key: str) -> Store:
        return self._layers(key)[0]

    def push(self, key: str) -> None:
        """Move a key from the mounted store to the backing store.

        The key stays the same as seen from here. In one transaction over both.

        Raises
        ------
        KeyNotFoundError
            The mounted store does not have it.
        CannotBeAtomicError
            Neither of the stores can prepare.
        """
        view, backing = self._parts
        with self.transaction(f"Push {key}"):
            value = self._enter(view)._find(key) if self._is_under(key) else None
            if value is None:
                raise self._missing(key, "push")
            with value:
                self._enter_to_write(backing, key).import_values([(key, value)])
            self._enter_to_write(view, key).delete(key)


class RoutingStore(LayeredStore):
    """Keys divided among stores by what they look like.

    Parameters
    ----------
    routes : sequence of (pattern, Store)
        A pattern is a ``str``, which the key begins with, or a compiled regular expression, which
        the whole key matches. The first that fits counts; ``""`` fits every key. A key that no
        route fits is not there, and cannot be written.
    timeout : float, optional
        Seconds to wait for another writer, for each store.
    """

    def __init__(self, routes: Sequence[tuple[Pattern, Store]], *, timeout: float = 5.0) -> None:
        self.routes = tuple((pattern, store) for pattern, store in routes)
        super().__init__(list(dict.fromkeys(store for _, store in self.routes)), timeout=timeout)

    def _layers(self, key: str) -> Sequence[Store]:
        for pattern, store in self.routes:
            if isinstance(pattern, str):
                if key.startswith(pattern):
                    return (store,)
            elif pattern.fullmatch(key):
                return (store,)
        return ()

    def _home(self, key: str) -> Store:
        layers = self._layers(key)
        if not layers:
            raise InvalidKeyError(f"no route of {self!r} fits {key!r}", key=key, store=self)
        return layers[0]
