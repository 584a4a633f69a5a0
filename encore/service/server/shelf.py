"""Objects in a store: their attributes, their expiry, and the versions that are being read.

`ObjectStore` is the store that is served, seen as objects. What HTTP knows of an object beside its
custom fields (media type, encoding, file name) stands in one field of the metadata; until when it
lives stands where `ExpiringStore` keeps it, so that what has expired is missing in every verb. The
handlers of this package import it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from encore.service.durations import Policy
from encore.service.server.exchange import Refused
from encore.storage.template import Entry, Staged, Store
from encore.storage.values import Value
from encore.storage.wrappers.expiring import ExpiringStore, Expiry, TimeToLive

__all__ = ["ATTRIBUTES", "UPLOADS", "FoundObject", "ObjectStore"]

#: The field of the metadata that holds what is no custom field.
ATTRIBUTES = "encore.object"

#: What the keys of parts of objects begin with; no usecase is called so.
UPLOADS = ".uploads/"

_KEPT_SECONDS = 60.0
_MOST_KEPT = 256


class FoundObject(NamedTuple):
    """An object: its value, and when it expires."""

    value: Value
    expiry: Expiry | None


class _Writing(threading.local):
    """The expiry of what the thread is about to write, as JSON."""

    expiry: Any = None


class ObjectStore(ExpiringStore):
    """The objects in ``base``.

    Parameters
    ----------
    base : Store
    clock : callable, optional
        Seconds since the epoch.

    Notes
    -----
    *Threads*: as the base.
    """

    def __init__(self, base: Store, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(base, clock=clock)
        self._writing = _Writing()
        self._kept: OrderedDict[tuple[str, str], tuple[Value, float]] = OrderedDict()
        self._keeping = threading.Lock()

    # -- objects ----------------------------------------------------------------------------------

    def find_object(self, key: str, *, use: bool = True) -> FoundObject | None:
        """Return an object, its expiry being that from before this use; None if it is not there.

        Parameters
        ----------
        key : str
        use : bool, optional
            Whether this puts off the end of an idle time.
        """
        found = self._look(key)
        if found is None:
            return None
        value, hidden = found
        if hidden is None:
            return FoundObject(value, None)
        if use and self._is_due(hidden):
            self._note_use(key)
        return FoundObject(value, Expiry.from_json(hidden))

    def every_key(self, prefix: str, start_after: str | None) -> Iterator[str]:
        """The keys in order, also those of objects that have expired."""
        keys: Iterator[str] = self._inner._scan(prefix, start_after)
        return keys

    def take(self, key: str, data: Any, buffer_size: int) -> bytes | Staged:
        """Take data in, to be written under a key or discarded."""
        return self._take_in(key, data, buffer_size)

    def write_object(
        self,
        entry: Entry,
        content: bytes | Staged,
        policy: Policy | None,
        *,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        """Write what has been taken in, as a whole; see `Store.put` for the conditions."""
        now = self.clock() if entry.created is None else entry.created
        expiry = None if policy is None else Expiry.of(policy, now).as_json()
        is_plain = not if_absent and if_token is None and entry.created is not None
        if is_plain and entry.text is not None and not self._heard():
            # What is there, and whether it has expired, matters to nobody.
            self._check_text(entry.key, entry.text)
            entry = entry._replace(text=self._joined(entry.text, expiry))
            self._inner._write_content(entry, content)
            return
        self._writing.expiry = expiry
        try:
            self._write_content(entry, content, if_absent, if_token)
        finally:
            self._writing.expiry = None

    def _next_hidden(self, old: Any, *, is_new: bool, is_whole: bool) -> Any:
        if is_new or is_whole:
            return self._writing.expiry
        return super()._next_hidden(old, is_new=is_new, is_whole=is_whole)

    def extend(self, key: str, until: Callable[[float, float], float]) -> None:
        """Put off the end of an object; it is never brought nearer.

        Parameters
        ----------
        key : str
        until : callable
            ``until(now, created)`` returns the new end, in seconds since the epoch.

        Raises
        ------
        Refused
            There is no such object (404), or it has no end (409).
        """
        with self._unit():
            old, hidden = self._old(key, "extend_expiry")
            if old is None:
                raise Refused(404)
            expiry = Expiry.from_json(hidden)
            if expiry is None:
                raise Refused(409, "the object does not expire")
            created = old.created or 0.0
            at = until(self.clock(), created)
            if at <= expiry.at:
                return
            policy = expiry.policy if expiry.is_idle else TimeToLive(at - created)
            text = self._joined(old.metadata_text, Expiry(at, policy).as_json())
            self._inner._rewrite_metadata(key, lambda _: text)

    # -- versions ---------------------------------------------------------------------------------

    def keep(self, key: str, value: Value) -> None:
        """Have a version readable for a minute, even if it is replaced."""
        now = time.monotonic()
        with self._keeping:
            old = self._kept.pop((key, value.token), None)
            self._kept[key, value.token] = value, now
            gone = [] if old is None or old[0] is value else [old[0]]
            while self._kept:
                _, made = next(iter(self._kept.values()))
                if len(self._kept) <= _MOST_KEPT and made + _KEPT_SECONDS > now:
                    break
                gone.append(self._kept.popitem(last=False)[1][0])
        del gone  # out here: letting go of a version may take a while

    def version(self, key: str, token: str) -> FoundObject | None:
        """A version that is there, or was there a moment ago."""
        found = self.find_object(key)
        if found is not None and found.value.token == token:
            return found
        with self._keeping:
            kept = self._kept.get((key, token))
        return None if kept is None else FoundObject(kept[0], None)

    def forget(self) -> None:
        """Let go of all versions."""
        with self._keeping:
            self._kept.clear()
