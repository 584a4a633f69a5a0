"""The store's own folder ``.encore``: what is in it, and when it comes into being.

::

    .encore/format.json    which format; whether names are made for Windows
    .encore/clashes        if it is there, names in clash form may be
    .encore/lock           held by whoever writes
    .encore/meta/          sidecars
    .encore/tmp/           temporary files, a folder for each store that writes
    .encore/txn/           commits of several keys
    .encore/history/       what a history keeps: its log, and replaced versions

Reading makes none of this: the first write does. Permissions are the ordinary ones, since the
metadata is no more secret than the files it describes, and a directory that several people may
write should stay so.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import weakref
from contextlib import closing, suppress

from encore.errors import EncoreError, StoreError
from encore.keys.probe import PROBE
from encore.storage.backends.filesystem.formats import (
    FORMAT_FILE,
    remove_unfinished_formats,
    write_format,
)
from encore.storage.backends.filesystem.journal import Journal, is_pending
from encore.storage.backends.filesystem.layout import OWN_FOLDER, Tree
from encore.storage.backends.filesystem.locking import FileLock, try_lock
from encore.storage.backends.filesystem.publishing import Publisher
from encore.storage.backends.filesystem.session import Session, sweep
from encore.storage.backends.filesystem.sidecars import Sidecars
from encore.storage.backends.filesystem.system import (
    READ,
    Folder,
    close_folder,
    exists_at,
    list_folder,
    make_folder,
    open_at,
    open_folder,
    raise_trouble,
    rename_at,
    rmdir_at,
    unlink_at,
)
from encore.storage.transactions.owners import new_token

LOCK = "lock"
_CLASHES = "clashes"
HISTORY_FOLDER = "history"
ASIDE = "%=-"  # no name that a key can have


def may_clash(root: Folder) -> bool:
    """Whether there may be names in clash form: on a file system that folds names, in a tree that
    was there before its own folder, and in one that was either once."""
    try:
        own = open_folder(root, OWN_FOLDER)
    except OSError:
        return True
    try:
        return exists_at(own, _CLASHES)
    finally:
        close_folder(own)


def open_sidecars(root: Folder) -> Sidecars | None:
    """Return the sidecars of a store for reading, None if it has none yet."""
    try:
        own = open_folder(root, OWN_FOLDER)
    except OSError as error:
        raise_trouble(error)
        return None
    try:
        sidecars = Sidecars(open_folder(own, "meta"), None, False)
        weakref.finalize(sidecars, close_folder, sidecars.folder)
        return sidecars
    except OSError as error:
        raise_trouble(error)
        return None
    finally:
        close_folder(own)


def is_unfinished(root: Folder) -> bool:
    """Whether somebody died in the middle of a commit, and nobody has carried it out yet."""
    try:
        own = open_folder(root, OWN_FOLDER)
    except OSError as error:
        raise_trouble(error)
        return False
    try:
        folder = open_folder(own, "txn")
        try:
            if not is_pending(folder):
                return False
        finally:
            close_folder(folder)
        lock = open_at(own, LOCK, READ)
        try:
            return try_lock(lock)
        finally:
            os.close(lock)
    except OSError as error:
        raise_trouble(error)
        return False
    finally:
        close_folder(own)


class Own:
    """The own folder of a store that writes.

    Parameters
    ----------
    tree : Tree
    durable : bool
        Whether to wait for the disk.

    Attributes
    ----------
    lock : FileLock
    session : Session
    sidecars : Sidecars
    publisher : Publisher
    journal : Journal
    recovered : bool
        Whether `recover` has been run.
    """

    def __init__(self, tree: Tree, durable: bool) -> None:
        self._folders: list[Folder] = []
        self._root = tree.root
        try:
            was_empty = True
            for name in [entry.name for entry in list_folder(tree.root)]:
                if name.startswith(ASIDE):  # somebody died while removing it
                    _remove_aside(tree.root, name)
                else:
                    was_empty = False
            own = self._folder(tree.root, OWN_FOLDER)
            self.folder = own
            if was_empty and not tree.folding:
                tree.may_clash = False
            elif tree.may_clash:
                self.expect_clashes()
            write_format(own)
            self._sessions = self._folder(own, "tmp")
            self._lists = self._folder(own, "txn")
            meta = self._meta = self._folder(own, "meta")
            self.lock = FileLock(own, LOCK)
        except BaseException:
            self._close_folders()
            raise
        try:
            self.session = Session(self._sessions)
        except BaseException:
            self.lock.close()
            self._close_folders()
            raise
        self.durable = durable
        self.recovered = False
        self.sidecars = Sidecars(meta, self._rewrite, durable)
        self.publisher = Publisher(tree, self.sidecars, self.session, durable)
        self.journal = Journal(self._lists, self._sessions, self.publisher)

    def expect_clashes(self) -> None:
        """Note down, for good, that there may be names in clash form."""
        os.close(open_at(self.folder, _CLASHES, os.O_CREAT | os.O_WRONLY))

    def _folder(self, parent: Folder, name: str) -> Folder:
        try:
            folder = make_folder(parent, name)
        except NotADirectoryError as error:
            raise StoreError(
                f"{name!r} in the directory is not the store's own folder, but a file or a link"
            ) from error
        self._folders.append(folder)
        return folder

    def _rewrite(self, lines: bytes) -> tuple[Folder, str]:
        return self.session.folder, self.session.write(lines, self.durable)

    def recover(self) -> None:
        """Finish or undo what others left when they died. The lock is held."""
        self.journal.recover()
        if exists_at(self.folder, FORMAT_FILE):
            remove_unfinished_formats(self.folder)
        sweep(self._sessions, self.publisher.forget)
        self.lock.withdraw()
        self.recovered = True

    def close(self) -> None:
        """Leave nothing open, no temporary files, and no own folder that says nothing."""
        try:
            is_taken = self.lock.take()  # kept until the file is closed
            if self.journal.unfinished:
                self._finish(is_taken)
            else:
                self.session.close()
                if is_taken:
                    self._remove_if_empty()
        finally:
            self.lock.close()
            self._close_folders()

    def _finish(self, is_taken: bool) -> None:
        """Carry out a commit that was decided, or leave its files to who opens the store next."""
        if is_taken:
            with suppress(OSError, EncoreError):
                self.recover()
        if self.journal.unfinished:
            self.session.let_go()
        else:
            self.session.close()

    def _remove_if_empty(self) -> None:
        """Remove the own folder if it has no records, commits, history, or other writers.

        Another writer may be opening it at this moment. Either its session is in ``tmp`` already,
        and that cannot be removed, or it will find no ``tmp`` to put it into, and begin anew.
        """
        with suppress(OSError):  # a store is closed, even if the folder cannot be looked at
            if _has_entries(self._meta) or _has_entries(self._lists) or self._has_history():
                return
            rmdir_at(self.folder, "tmp")
            aside = f"{ASIDE}{new_token()}"
            rename_at(self._root, OWN_FOLDER, self._root, aside)
            _remove_aside(self._root, aside)

    def _has_history(self) -> bool:
        """Whether a history keeps anything."""
        with suppress(OSError):
            self._folders.append(open_folder(self.folder, HISTORY_FOLDER))
            return _has_entries(self._folders[-1])
        return False

    def let_go(self) -> None:
        """Close what was inherited by a fork."""
        self.session.let_go()
        self.lock.close()
        self._close_folders()

    def _close_folders(self) -> None:
        while self._folders:
            close_folder(self._folders.pop())


def _has_entries(folder: Folder) -> bool:
    with closing(list_folder(folder)) as entries:
        return next(entries, None) is not None


def _remove_aside(root: Folder, name: str) -> None:
    """Remove an own folder that has been emptied and renamed."""
    with suppress(OSError):
        folder = open_folder(root, name)
        try:
            remove_unfinished_formats(folder)
            probes = [entry.name for entry in list_folder(folder) if entry.name.startswith(PROBE)]
            for file in (FORMAT_FILE, _CLASHES, LOCK, *probes):
                with suppress(FileNotFoundError):
                    unlink_at(folder, file)
            for inside in ("txn", "meta", HISTORY_FOLDER):
                with suppress(FileNotFoundError):
                    rmdir_at(folder, inside)
        finally:
            close_folder(folder)
        rmdir_at(root, name)
