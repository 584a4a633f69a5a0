"""Several keys as one act: what is to be done is written down before anything is done.

::

    tmp/<session>/...          the data of all keys, complete
    txn/<id>.intent            the list of what is to be done, under a checksum
    txn/<id>.COMMIT            the same file after one rename: the commit point
    ...                        each key by itself, as `publishing` does it
    (removed)                  done

Whoever opens the store, or takes the lock after somebody who died with it, finds a list that is
still there: an intent is thrown away, a COMMIT is carried out again from the beginning, and one
that is damaged is put aside for people. Each step can be repeated: a temporary file that is gone
has been put in its place already, a record appended twice says the same, a key removed twice is
removed. So a crash during that only means that it is done once more.

Meanwhile readers, who take no lock, may see some of the keys new and others old; each of them is
whole.

All of it happens under the writer lock. Only this subpackage imports this module.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from zlib import crc32

from encore.keys.rules import check_key
from encore.storage.backends.filesystem.publishing import Publisher
from encore.storage.backends.filesystem.records import Fields
from encore.storage.backends.filesystem.syncing import NamesToSync
from encore.storage.backends.filesystem.system import (
    CREATE,
    READ,
    Folder,
    close_folder,
    exists_at,
    list_folder,
    open_at,
    open_folder,
    read_all,
    rename_at,
    sync_folder,
    unlink_at,
    write_all,
)
from encore.storage.metadata import decode_metadata
from encore.storage.transactions.owners import new_token

_log = logging.getLogger("encore.storage")
_INTENT = ".intent"
_COMMIT = ".COMMIT"
_RESERVE = ".reserve"
#: Behind the name of a list that cannot be carried out; `verify` speaks of it.
DAMAGED = ".damaged"
# Of a session, and of a file of its: see `session`.
_NAME = re.compile(r"[0-9a-f]+(-[0-9a-f]+\.jsonl)?")
# What carrying out may need for each key, in bytes: a sidecar, and its part of a directory.
_ROOM = 8192
_allocate: Any = getattr(os, "posix_fallocate", None)
_NO_RESERVE = frozenset((errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EBADF))


class Act(NamedTuple):
    """What is to be done to one key.

    Attributes
    ----------
    key : str
    fields : Fields or None
        None removes the key.
    session, name : str
        The temporary file with the data; empty where the data stays.
    """

    key: str
    fields: Fields | None
    session: str = ""
    name: str = ""


class Journal:
    """Commits of several keys.

    Parameters
    ----------
    folder, sessions : Folder
        Where the lists are, and where the sessions are; they belong to the caller.
    publisher : Publisher

    Attributes
    ----------
    unfinished : bool
        A commit is decided but could not be carried out to its end; whoever takes the lock next has
        to `recover`.
    """

    def __init__(self, folder: Folder, sessions: Folder, publisher: Publisher) -> None:
        self._folder = folder
        self._sessions = sessions
        self._publisher = publisher
        self.unfinished = False

    def prepare(self, acts: Sequence[Act]) -> str:
        """Write down what is to be done, and return the name of the list."""
        name = new_token()
        try:
            self._write(name + _INTENT, acts)
            self._reserve(name + _RESERVE, len(acts) * _ROOM)
        except BaseException:
            self.discard(name)
            raise
        return name

    def discard(self, name: str) -> None:
        """Throw away a list that was not decided."""
        for end in (_INTENT, _RESERVE):
            with suppress(OSError):
                unlink_at(self._folder, name + end)

    def _reserve(self, name: str, size: int) -> None:
        """Keep room on the disk for the records, so that what is decided can be carried out."""
        if _allocate is not None:
            descriptor = open_at(self._folder, name, CREATE)
            try:
                _allocate(descriptor, 0, size)
            except OSError as error:
                if error.errno not in _NO_RESERVE:
                    raise
            finally:
                os.close(descriptor)

    def commit(self, name: str, acts: Sequence[Act], committed: Callable[[bool], None]) -> None:
        """Do all that is on a list.

        Parameters
        ----------
        name : str
            What `prepare` returned.
        acts : sequence of Act
            What is on it.
        committed : callable
            Called with True just before the commit point, with False if it was not reached.
        """
        with NamesToSync(self._publisher.durable) as names:
            names.add(self._folder)
            try:
                committed(True)
                rename_at(self._folder, name + _INTENT, self._folder, name + _COMMIT)
            except BaseException:
                if not exists_at(self._folder, name + _COMMIT):
                    committed(False)
                    raise
                # An interruption after the deed: carry it out, then pass it on.
                self._carry_out(name, acts, names)
                raise
            self._carry_out(name, acts, names)

    def _carry_out(self, name: str, acts: Sequence[Act], names: NamesToSync) -> None:
        self.unfinished = True
        interruption: BaseException | None = None
        try:
            names.sync()
        except BaseException as error:
            interruption = error  # it is decided all the same
        for is_last in (False, True):
            try:
                with suppress(FileNotFoundError):
                    unlink_at(self._folder, name + _RESERVE)
                self._apply(acts)
                unlink_at(self._folder, name + _COMMIT)
                self.unfinished = False
                break
            except Exception:
                if is_last:
                    _log.exception("a commit is decided but not carried out; it will be, later")
            except BaseException as error:
                interruption = error  # once more: everything can be repeated
        if interruption is not None:
            raise interruption

    def _write(self, name: str, acts: Sequence[Act]) -> None:
        lines = "".join(json.dumps(act) + "\n" for act in acts).encode()
        descriptor = open_at(self._folder, name, CREATE)
        try:
            write_all(descriptor, b"%b%08x\n" % (lines, crc32(lines)))
            if self._publisher.durable:
                os.fsync(descriptor)
                sync_folder(self._publisher.session.folder)
                sync_folder(self._sessions)
        finally:
            os.close(descriptor)

    def _apply(self, acts: Sequence[Act]) -> None:
        with self._publisher.tree.keeping():
            self._apply_each(acts)

    def _apply_each(self, acts: Sequence[Act]) -> None:
        # Removals last, so that of a key that moves readers see too many rather than none.
        for act in acts:
            if act.fields is None:
                continue
            if not act.session:
                self._publisher.note(act.key, act.fields)
            elif act.session == self._publisher.session.name:
                self._put(act, self._publisher.session.folder)
            else:
                with suppress(FileNotFoundError):
                    folder = open_folder(self._sessions, act.session)
                    try:
                        self._put(act, folder)
                    finally:
                        close_folder(folder)
        for act in acts:
            if act.fields is None:
                self._publisher.remove(act.key)

    def _put(self, act: Act, folder: Folder) -> None:
        assert act.fields is not None
        if exists_at(folder, act.name):
            self._publisher.put(act.key, folder, act.name, act.fields)
        else:
            self._publisher.sync_again(act.key)

    # -- after a crash ----------------------------------------------------------------------------

    def recover(self) -> None:
        """Carry out what was decided, and throw away what was not."""
        for name in sorted(entry.name for entry in list_folder(self._folder)):
            if name.endswith(_COMMIT):
                acts = self._read(name)
                if acts is None:
                    _log.warning("a damaged list of changes is put aside as txn/%s", name + DAMAGED)
                    rename_at(self._folder, name, self._folder, name + DAMAGED)
                    continue
                self._apply(acts)
            if name.endswith((_COMMIT, _INTENT, _RESERVE)):
                unlink_at(self._folder, name)
        self.unfinished = False

    def _read(self, name: str) -> list[Act] | None:
        descriptor = open_at(self._folder, name, READ)
        try:
            return read_list(read_all(descriptor))
        finally:
            os.close(descriptor)


def read_list(text: bytes) -> list[Act] | None:
    """Return what is on a list; None if it is damaged, or names what is no temporary file.

    Whoever gives somebody a directory may have written the list, checksum and all: a name that led
    out of the folder of a session would bring any file of the reader's into the store.
    """
    lines, crc = text[:-9], text[-9:]
    if crc != b"%08x\n" % crc32(lines):
        return None
    try:
        return [_act(json.loads(line)) for line in lines.splitlines()]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _act(found: Any) -> Act:
    key, fields, session, file = found
    check_key(key)
    if fields is not None:
        text, created, modified, token = fields
        decode_metadata(text)
        fields = Fields(text, float(created), float(modified), token.encode().decode())
    elif session:
        raise ValueError("a key that is removed gets no data")
    if not (session == file == "" or (_NAME.fullmatch(session) and _NAME.fullmatch(file))):
        raise ValueError("these are no names of a session and a file of its")
    return Act(key, fields, session, file)


def classify(folder: Folder, name: str) -> str:
    """What a file among the lists is: decided, undecided, damaged, or unknown."""
    if name.endswith(_COMMIT):
        descriptor = open_at(folder, name, READ)
        try:
            return "damaged" if read_list(read_all(descriptor)) is None else "decided"
        finally:
            os.close(descriptor)
    if name.endswith(DAMAGED):
        return "damaged"
    return "undecided" if name.endswith((_INTENT, _RESERVE)) else "unknown"


def is_pending(folder: Folder) -> bool:
    """Whether a commit was decided and not carried out, or is being carried out."""
    return any(entry.name.endswith(_COMMIT) for entry in list_folder(folder))
