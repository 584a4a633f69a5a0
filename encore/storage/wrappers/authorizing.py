"""Stores that ask who is there.

`SimpleAuthStore` knows users by their passwords and keys by their permissions, which stand in a
hidden field of the metadata (``hidden``). Until somebody has connected, an object that refuses
everything stands in the place of the base. ``storage.api`` shows what is public here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

from encore.errors import AuthorizationError, StoreError, TransactionError
from encore.storage.checking import Problem
from encore.storage.template import Store
from encore.storage.wrappers.hidden import HiddenFieldStore
from encore.storage.wrappers.passwords import PasswordHash, hash_password, nobody
from encore.storage.wrappers.permissions import Permissions, Tags

__all__ = ["SimpleAuthStore", "hash_password"]

_USER = "user:"


class SimpleAuthStore(HiddenFieldStore):
    """What ``base`` holds, for users with passwords, each key with its permissions.

    ``connect({"username": ..., "password": ...})`` lets a user in; before, everything else is
    refused. One store is one session: give each user a store of their own over the same base.

    A key has three sets of tags: ``"owned"``, ``"read"`` and ``"write"``. Owners may do everything,
    readers read, writers write and delete; only owners see and change the permissions. New keys are
    owned by whoever makes them. Replacing a value keeps the permissions of its key; a copy is a new
    key or a replaced value; a key that is moved to a new name keeps its permissions.

    Parameters
    ----------
    base : Store
    users : mapping of str
        User name to what `hash_password` returned, or to ``{"password": that, "tags": [...]}`` with
        the groups the user belongs to.
    permissions : mapping of str to iterable of str, optional
        For keys in the base that have none, and granted with every new key besides its being owned:
        ``{"owned": {"staff"}}``. Without, keys that have no permissions are invisible to all.

    Raises
    ------
    AuthorizationError
        Nobody has connected; or the user may see the key, and not do this. Writing to a key that
        one may neither read nor write is refused in the same way, which tells that it is there.
        Everything else takes it for missing: it is not listed, found, counted or announced, and
        asking for it is a `KeyNotFoundError`, as for a key that does not exist.

    Notes
    -----
    This keeps users of a program apart, not attackers that run code in it or reach the base.
    Nothing limits how often passwords are tried. The ``notes`` of transactions are told to all
    listeners.

    Passwords are hashed with scrypt and never kept; a wrong user name takes as long as a wrong
    password, and neither is told apart from the other.

    *Threads*: as the base; all threads are the same user.
    """

    field = "encore.permissions"

    def __init__(
        self,
        base: Store,
        users: Mapping[str, Any],
        *,
        permissions: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        super().__init__(base)
        self._accounts = {name: _account(name, given) for name, given in users.items()}
        self._nobody = nobody([password for password, _ in self._accounts.values()])
        self._default = Permissions.of(permissions or {})
        self._user: str | None = None
        self._tags: Tags = frozenset()
        self._inner = _Unknown(self)

    # -- opening and closing ----------------------------------------------------------------------

    def connect(self, credentials: Any = None) -> None:
        """Let a user in, or with other credentials another one.

        Parameters
        ----------
        credentials : mapping or tuple
            ``{"username": ..., "password": ...}`` or ``(username, password)``. May be left out
            while somebody is connected.

        Raises
        ------
        AuthorizationError
            The user name or the password is wrong; whoever was connected still is.
        TransactionError
            Somebody else is connected and has a transaction open.
        """
        user = self._user if credentials is None else self._authenticated(credentials)
        if user is None:
            raise _refusal(self, "connect")
        if self._user not in (None, user) and self.base._context() is not None:
            raise TransactionError(
                f"{self!r} cannot change hands inside a transaction; end it first",
                store=self,
                operation="connect",
            )
        super().connect()
        self._user = user
        self._tags = self._accounts[user][1] | {_USER + user}

    def close(self) -> None:
        super().close()
        self._user, self._tags = None, frozenset()

    def _authenticated(self, credentials: Any) -> str:
        name, password = _name_and_password(credentials)
        known = self._accounts.get(name)
        expected = self._nobody if known is None else known[0]
        if not expected.fits(password) or known is None:
            raise AuthorizationError(
                f"connect: {self!r} does not know this user by this password",
                store=self,
                operation="connect",
            )
        return name

    def info(self) -> dict[str, Any]:
        return {**super().info(), "authorizing": True}

    # -- permissions ------------------------------------------------------------------------------

    def user_tag(self) -> str:
        """Return the tag of the connected user: ``"user:"`` and the name."""
        if self._user is None:
            raise _refusal(self, "user_tag")
        return _USER + self._user

    def get_permissions(self, key: str) -> dict[str, set[str]]:
        """Return who may do what with a key that the user owns.

        Returns
        -------
        dict
            ``"owned"``, ``"read"`` and ``"write"``, each with a set of tags.

        Raises
        ------
        KeyNotFoundError
            There is no such key, or none that the user may read; so also from the other two.
        AuthorizationError
            The user does not own it.
        """
        found = self._look(key)
        if found is None:
            raise self._missing(key, "get_permissions")
        found[0].close()
        self._counts(key, "get_permissions", found[1], is_replacing=False)
        return self._permissions(found[1]).as_dict()

    def set_permissions(self, key: str, permissions: Mapping[str, Iterable[str]]) -> None:
        """Say anew who may do what with a key that the user owns.

        Parameters
        ----------
        key : str
        permissions : mapping of str to iterable of str
            Tags for ``"owned"``, one at least, ``"read"`` and ``"write"``.

        Raises
        ------
        ValueError
            Nobody would own the key.
        """
        wanted = Permissions.of(permissions)
        if not wanted.owned:
            raise ValueError(f"set_permissions: somebody must own {key!r}; name a tag for 'owned'")
        self._rewrite_hidden(key, "set_permissions", lambda _old: wanted.as_json())

    def update_permissions(self, key: str, permissions: Mapping[str, Iterable[str]]) -> None:
        """Grant more with a key that the user owns; what has been granted stays.

        Parameters
        ----------
        key : str
        permissions : mapping of str to iterable of str
            Tags for ``"owned"``, ``"read"`` or ``"write"``.
        """
        more = Permissions.of(permissions)
        self._rewrite_hidden(
            key, "update_permissions", lambda old: (self._permissions(old) | more).as_json()
        )

    # -- checking ---------------------------------------------------------------------------------

    def _examine(self, repair: bool) -> Iterator[Problem]:
        for problem in super()._examine(repair):
            may_see = problem.key is None
            with suppress(StoreError):  # where permissions are damaged, nobody knows
                may_see = may_see or self._has(problem.key)  # type: ignore[arg-type]
            if not may_see:
                explanation = "something is wrong with a key that this user may not read"
                problem = replace(problem, key=None, explanation=explanation)
            yield problem

    # -- the hidden field -------------------------------------------------------------------------

    def _permissions(self, hidden: Any) -> Permissions:
        return self._default if hidden is None else Permissions.from_json(hidden)

    def _is_visible(self, hidden: Any) -> bool:
        return self._permissions(hidden).can_read(self._tags)

    def _counts(self, key: str, operation: str, hidden: Any, *, is_replacing: bool) -> bool:
        permissions = self._permissions(hidden)
        if operation.endswith("permissions"):
            is_allowed = permissions.can_own(self._tags)
        else:
            is_allowed = permissions.can_write(self._tags)
        if is_allowed:
            return True
        if not is_replacing and not permissions.can_read(self._tags):
            return False
        raise AuthorizationError(
            f"{operation}: {self._user!r} may not do that with {key!r} in {self!r}",
            key=key,
            store=self,
            operation=operation,
        )

    def _next_hidden(self, old: Any, *, is_new: bool, is_whole: bool) -> Any:
        if not is_new:
            return old
        return (self._default | Permissions(owned=frozenset({self.user_tag()}))).as_json()

    def _carried_hidden(self, source: Any, target: Any, *, is_new: bool, is_move: bool) -> Any:
        if is_new and is_move:
            return source
        return self._next_hidden(target, is_new=is_new, is_whole=True)


class _Unknown:
    """Stands in for the base until it is known who asks."""

    def __init__(self, store: SimpleAuthStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> NoReturn:
        raise _refusal(self._store, "open")


def _refusal(store: SimpleAuthStore, operation: str) -> AuthorizationError:
    return AuthorizationError(
        f"{store!r} does not know who asks; "
        'connect({"username": ..., "password": ...}) comes first',
        store=store,
        operation=operation,
    )


def _account(name: Any, given: Any) -> tuple[PasswordHash, Tags]:
    """What is known of a user: the password, unreadable, and the groups."""
    if not isinstance(name, str):
        raise TypeError(f"a user name is a str, not {type(name).__name__}")
    tags: Iterable[str] = ()
    if isinstance(given, Mapping):
        given, tags = given.get("password"), given.get("tags", ())
    try:
        password = PasswordHash.parse(given)
    except ValueError as error:
        raise ValueError(f"user {name!r}: {error}") from None
    groups = Permissions.of({"read": tags}).read
    if any(tag.startswith(_USER) for tag in groups):
        raise ValueError(f"user {name!r}: {_USER!r} begins the tags of users, not of groups")
    return password, groups


def _name_and_password(credentials: Any) -> tuple[str, str]:
    if isinstance(credentials, Mapping):
        credentials = (credentials.get("username"), credentials.get("password"))
    match credentials:
        case (str(name), str(password)):
            return name, password
    raise TypeError('credentials are {"username": ..., "password": ...}, both of them str')
