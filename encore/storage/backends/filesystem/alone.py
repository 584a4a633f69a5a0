"""The short way for a single write of a small value, where nothing is out of the ordinary.

The same steps as `publishing` and `writing` take, with as few calls of the system as there can be.
What is unusual is left to the general way. Only this subpackage and ``history`` import this module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from encore.storage.backends.filesystem.own import Own
from encore.storage.backends.filesystem.records import (
    Fields,
    fitting,
    from_file,
    in_place,
    line_of,
    seconds,
    sidecar_name,
    signature,
)
from encore.storage.backends.filesystem.syncing import NamesToSync
from encore.storage.backends.filesystem.system import (
    READ,
    Folder,
    exists_at,
    open_at,
    read_all,
    rename_at,
    set_time,
    stat_at,
    write_all,
)
from encore.storage.metadata import EMPTY
from encore.storage.transactions.owners import new_token


class LoneWrite(NamedTuple):
    """A single write that is about to take place: which key, and where; what is there, and comes.

    Attributes
    ----------
    key : str
    folder : Folder
    name : str
    old : os.stat_result or None
    new : os.stat_result
    data : bytes
    text : str
        The metadata.
    time : int
        Of the modification, in nanoseconds.
    """

    key: str
    folder: Folder
    name: str
    old: os.stat_result | None
    new: os.stat_result
    data: bytes
    text: str
    time: int

    def is_same(self) -> bool:
        """Whether the data that is there is what comes."""
        descriptor = open_at(self.folder, self.name, READ)
        try:
            return read_all(descriptor, len(self.data)) == self.data
        finally:
            os.close(descriptor)


class LoneWrites(Protocol):
    """A history that follows single writes on their short way. The lock is held."""

    def is_ready(self, key: str) -> bool:
        """Whether it can follow one now."""

    def begin(self, write: LoneWrite, old: Fields | None, new: Fields) -> None:
        """Keep what is there, and write down what comes.

        Raises
        ------
        Unusual
            It has to be written the general way.
        """

    def done(self) -> None:
        """It has taken place."""

    def failed(self) -> None:
        """It has not taken place."""

    def appended(self) -> None:
        """The lock has been given back."""


class Unusual(Exception):  # noqa: N818  nothing has gone wrong
    """A single write cannot take the short way."""


class ShortWay:
    """Writes small values by themselves.

    *Threads*: under the writer lock.
    """

    def __init__(self, own: Own) -> None:
        self._tree = own.publisher.tree
        self._sidecars = own.sidecars
        self._session = own.session
        self._durable = own.durable

    def put(self, key: str, data: bytes, text: str, history: LoneWrites | None) -> bool:
        """Put small data where nothing is out of the ordinary. False: nothing done."""
        tree = self._tree
        path = tree.path_of(key)
        if "/" not in path:
            return self._put_at(tree.root, path, key, data, text, history)
        try:
            spot = tree.parent(path)
        except OSError:
            return False
        try:
            return self._put_at(spot.folder, spot.name, key, data, text, history)
        finally:
            spot.close()

    def _put_at(
        self,
        folder: Folder,
        target: str,
        key: str,
        data: bytes,
        text: str,
        history: LoneWrites | None,
    ) -> bool:
        session, sidecar = self._session, sidecar_name(key)
        old: os.stat_result | None = None
        try:
            old = stat_at(folder, target)
        except FileNotFoundError:
            if self._sidecars.exists(sidecar):
                return False
        if old is not None and not stat.S_ISREG(old.st_mode):
            return False
        now = session.tick()
        mode = 0o666 if old is None else stat.S_IMODE(old.st_mode)
        name, descriptor = session.create(sidecar, mode)
        undo = None
        try:
            try:
                new = self._fill(descriptor, data, now, old)
            finally:
                os.close(descriptor)
            undo = self._note(
                LoneWrite(key, folder, target, old, new, data, text, now), sidecar, history
            )
            self._put_in_place(name, folder, target)
        except BaseException as error:
            if exists_at(session.folder, name):
                if undo is not None:
                    with suppress(OSError):
                        undo()
                session.remove(name)
                if history is not None:
                    history.failed()
                if isinstance(error, Unusual):
                    return False
            elif history is not None:
                history.done()
            raise
        if history is not None:
            history.done()
        return True

    def _put_in_place(self, name: str, folder: Folder, target: str) -> None:
        with NamesToSync(self._durable) as names:
            names.add(folder)
            rename_at(self._session.folder, name, folder, target)
            names.sync()

    def _note(
        self, write: LoneWrite, sidecar: str, history: LoneWrites | None
    ) -> Callable[[], None] | None:
        """Write down what has to be: beside the data, and for a history; what takes it back."""
        key, _, _, old, new, _, text, now = write
        if old is None and text == EMPTY and self._session.has_exact_times:
            if history is not None:
                history.begin(write, None, from_file(new))
            return None

        def make(known: bytes) -> tuple[bytes, bytes]:
            created, kept, fields = seconds(now), b"", None
            if old is not None:
                kept, created = in_place(known, key, old)
            made = Fields(text, created, seconds(now), new_token())
            if history is not None:
                if old is not None:
                    fields = fitting(kept, signature(old))
                history.begin(write, fields, made)
            return kept, line_of(key, signature(new), made)

        return self._sidecars.append(sidecar, make)

    def _fill(
        self, descriptor: int, data: bytes, time: int, old: os.stat_result | None
    ) -> os.stat_result:
        """Complete a file that is to take the place of ``old``, and return its status."""
        write_all(descriptor, data)
        set_time(descriptor, time)
        new = os.fstat(descriptor)
        if old is not None and old.st_mode != new.st_mode:
            os.chmod(descriptor, stat.S_IMODE(old.st_mode))
        if self._durable:
            os.fsync(descriptor)
        return new
