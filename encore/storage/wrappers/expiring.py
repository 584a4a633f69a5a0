"""Keys that are gone after a while.

When a key is gone stands in a hidden field of its metadata (``hidden``), as the clock of the day
has it, so that it holds across programs and restarts. What has expired is missing in every verb at
once; `ExpiringStore.sweep` takes it out of the base. ``storage.api`` shows what is public here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from encore.errors import ReadOnlyError
from encore.storage.template import Store
from encore.storage.transactions.changes import Change
from encore.storage.values import Value
from encore.storage.wrappers.hidden import HiddenFieldStore
from encore.storage.wrappers.lifetimes import Expiry, TimeToIdle, TimeToLive, as_seconds

__all__ = ["ExpiringStore", "Expiry", "TimeToIdle", "TimeToLive"]

_log = logging.getLogger("encore.storage")

# Use is noted only when this part of the idle time has passed since it was noted last: a key that
# is read all the time is written ten times in its idle time, not at every reading.
_NOTED_AFTER = 0.1


class _Noting(threading.local):
    """Whether this thread is noting that a key has been used."""

    is_on = False


class ExpiringStore(HiddenFieldStore):
    """The keys of ``base``, each gone when its time has come.

    ``put`` and its kin take no policy: that would be one more argument in each of a dozen verbs.
    What is written through a store gets the store's ``default``, and `with_policy` is the same
    store with another one, so that every verb there is can write with any policy. `set_expiry`
    changes a key that is there; both together in one transaction are one act.

    Writing data and metadata anew begins a new life under the default. Writing only one of them
    keeps the policy, and puts off the end if it is an idle one; copies are gone when their
    originals are.

    Parameters
    ----------
    base : Store
    default : TimeToLive or TimeToIdle, optional
        For what is written; without one it stays until it is deleted.
    clock : callable, optional
        Seconds since the epoch.

    Notes
    -----
    An idle policy makes some reads (``get`` and its kin, not ``exists`` or listings) write to the
    base: at most ten times in the idle time, and not if the base is read-only or somebody else is
    writing. The key gets a new ``token`` and ``modified`` then, which the value that is returned
    has already. In a transaction it happens after the commit. Listeners of this store are not told;
    those of the base hear of an update.

    *Events*: that a key has expired is nobody's act and not announced. Writing to it again is a
    `StoreSetEvent`; its removal by `sweep` a `StoreDeleteEvent`.

    Only through this store do keys expire: the base, and what is copied to other stores, has all of
    them, and a copy elsewhere has no expiry.

    *Threads*: as the base.
    """

    field = "encore.expires"

    def __init__(
        self,
        base: Store,
        *,
        default: TimeToLive | TimeToIdle | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(base)
        self.default = _checked(default)
        self.clock = clock
        self._due: set[str] = set()  # keys whose use is noted when a transaction has ended
        self._can_note = True
        self._noting = _Noting()

    # -- policies ---------------------------------------------------------------------------------

    def with_policy(self, policy: TimeToLive | TimeToIdle | None) -> ExpiringStore:
        """Return a store over the same base that writes with another policy.

        Parameters
        ----------
        policy : TimeToLive, TimeToIdle or None
            None: what is written stays.
        """
        return ExpiringStore(self.base, default=policy, clock=self.clock)

    def get_expiry(self, key: str) -> Expiry | None:
        """Return when a key is gone, ``at`` (seconds since the epoch) and ``policy``; None: never.

        Raises
        ------
        KeyNotFoundError
            There is no such key, or none any more; so also from the other two.
        """
        found = self._look(key)
        if found is None:
            raise self._missing(key, "get_expiry")
        found[0].close()
        return Expiry.from_json(found[1])

    def set_expiry(self, key: str, policy: TimeToLive | TimeToIdle | None) -> None:
        """Give a key a policy that counts from now.

        Parameters
        ----------
        key : str
        policy : TimeToLive, TimeToIdle or None
            None: the key stays.
        """
        _checked(policy)
        self._rewrite_hidden(key, "set_expiry", lambda _old: self._begin(policy))

    def extend_expiry(self, key: str, seconds: float | timedelta) -> None:
        """Let a key live for so long from now at least; it is never shortened.

        Parameters
        ----------
        key : str
        seconds : float or timedelta
        """
        duration = as_seconds(seconds)

        def extended(kept: Any) -> Any:
            expiry = Expiry.from_json(kept)
            return expiry and expiry.not_before(self.clock() + duration).as_json()

        self._rewrite_hidden(key, "extend_expiry", extended)

    def sweep(self) -> int:
        """Delete what has expired, in one transaction.

        Returns
        -------
        int
            How many keys that were.
        """
        gone = [key for key, text in self._inner._search({}) if self._shown(text) is None]
        if not gone:
            return 0
        count = 0
        with self.transaction("Remove what has expired"):
            for key in gone:
                value = self._inner._find(key)
                if value is not None:  # and nobody has written it again meanwhile
                    if self._revealed(value) is None:
                        self._inner._erase(key, True)
                        count += 1
                    value.close()
        return count

    # -- the hidden field -------------------------------------------------------------------------

    def _begin(self, policy: TimeToLive | TimeToIdle | None) -> Any:
        return None if policy is None else Expiry.of(policy, self.clock()).as_json()

    def _is_visible(self, hidden: Any) -> bool:
        expiry = Expiry.from_json(hidden) if hidden is not None else None
        return expiry is None or self.clock() < expiry.at

    def _counts(self, key: str, operation: str, hidden: Any, *, is_replacing: bool) -> bool:
        return self._is_visible(hidden)

    def _next_hidden(self, old: Any, *, is_new: bool, is_whole: bool) -> Any:
        if is_new or is_whole:
            return self._begin(self.default)
        expiry = Expiry.from_json(old)
        return expiry and expiry.after_use(self.clock()).as_json()

    def _translate(self, changes: list[Change]) -> list[Change]:
        if self._noting.is_on:
            # Nothing but the moment has changed. Once only: a listener may write in answer.
            self._noting.is_on = False
            return []
        return super()._translate(changes)

    def _seen(self, change: Change) -> Change:
        before = self._shown(change.before)
        if change.after is None and change.before is not None:
            before = self._split(change.before)[1]  # the end of what has expired is told
        after = None if change.after is None else self._split(change.after)[1]
        return Change(change.key, before, after)

    # -- use --------------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        found = self._look(key)
        if found is not None and found[1] is not None and self._is_due(found[1]):
            found[0].close()
            self._note_use(key)
            found = self._look(key)
        return None if found is None else found[0]

    _find_many = Store._find_many

    def _is_due(self, hidden: Any) -> bool:
        expiry = Expiry.from_json(hidden)
        if expiry is None or not expiry.is_idle or not self._can_note:
            return False
        return self.clock() + (1 - _NOTED_AFTER) * expiry.policy.seconds > expiry.at

    def _note_use(self, key: str) -> None:
        context = self._inner._context()
        if context is None:
            self._put_off(key)
        elif key not in self._due:
            self._due.add(key)
            context.on_commit(partial(self._put_off, key))
            context.on_rollback(partial(self._due.discard, key))

    def _put_off(self, key: str) -> None:
        """Let the idle time of a key begin anew, unless that would make the reader wait or fail."""
        self._due.discard(key)
        self._noting.is_on = True
        try:
            with self._inner._new_context(timeout=0.0, quiet=True):
                value, hidden = self._old(key, "get")
                if value is not None and self._is_due(hidden):
                    kept = self._next_hidden(hidden, is_new=False, is_whole=False)
                    text = self._joined(value.metadata_text, kept)
                    self._inner._rewrite_metadata(key, lambda _: text)
        except ReadOnlyError:
            self._can_note = False
        except Exception:
            _log.debug("the use of %r in %r was not noted", key, self, exc_info=True)
        finally:
            self._noting.is_on = False


def _checked(policy: TimeToLive | TimeToIdle | None) -> TimeToLive | TimeToIdle | None:
    if policy is not None and not isinstance(policy, (TimeToLive, TimeToIdle)):
        raise TypeError(f"a policy is TimeToLive, TimeToIdle or None, not {type(policy).__name__}")
    return policy
