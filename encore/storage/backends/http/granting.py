"""The verbs of permissions: who may do what with a key, as the server has it.

``dynamic`` imports this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from encore.errors import KeyNotFoundError, UnsupportedError
from encore.keys.rules import check_key
from encore.storage.backends.http.protocol import RestProtocol

__all__ = ["Granting"]


class Granting:
    """The part of a store that speaks of permissions. They change at once, transactions or not.

    *Threads*: any.
    """

    _user_tag: str | None

    def _asked(self) -> RestProtocol:
        raise NotImplementedError

    def _missing(self, key: Any, operation: str) -> KeyNotFoundError:
        raise NotImplementedError

    def user_tag(self) -> str:
        """Return what the server calls the user, as it appears in permissions.

        Raises
        ------
        UnsupportedError
            It does not tell users apart.
        """
        if self._user_tag is None:
            self._user_tag = self._asked().user_tag()
        if self._user_tag is None:
            raise UnsupportedError(f"the server of {self!r} does not tell users apart", store=self)
        return self._user_tag

    def get_permissions(self, key: str) -> dict[str, set[str]]:
        """Return who may do what with a key.

        Returns
        -------
        dict of str to set of str
            Tags of users, for each permission.

        Raises
        ------
        KeyNotFoundError, AuthorizationError
        """
        check_key(key)
        found: dict[str, set[str]] | None = self._asked().permissions("GET", key)
        if found is None:
            raise self._missing(key, "get_permissions")
        return found

    def set_permissions(self, key: str, permissions: Mapping[str, Iterable[str]]) -> None:
        """Replace the permissions of a key, at once: transactions have no part in it."""
        self._change_permissions("PUT", key, permissions, "set_permissions")

    def update_permissions(self, key: str, permissions: Mapping[str, Iterable[str]]) -> None:
        """Add tags to the permissions of a key, at once."""
        self._change_permissions("POST", key, permissions, "update_permissions")

    def _change_permissions(
        self, method: str, key: str, permissions: Mapping[str, Iterable[str]], operation: str
    ) -> None:
        check_key(key)
        change = {name: sorted(tags) for name, tags in permissions.items()}
        if self._asked().permissions(method, key, change) is None:
            raise self._missing(key, operation)
