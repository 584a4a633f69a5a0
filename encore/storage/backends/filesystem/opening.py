"""An open directory: what is held while a store is open, and the turns that writers take.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from encore.errors import ReadOnlyError
from encore.keys.filenames import ON_WINDOWS
from encore.keys.probe import folds_names, folds_names_by_writing
from encore.storage.backends.filesystem.alone import LoneWrites, ShortWay
from encore.storage.backends.filesystem.committing import Committer
from encore.storage.backends.filesystem.formats import read_format
from encore.storage.backends.filesystem.layout import OWN_FOLDER, Tree
from encore.storage.backends.filesystem.own import Own, is_unfinished, may_clash
from encore.storage.backends.filesystem.reading import Reader
from encore.storage.backends.filesystem.system import close_folder, open_root
from encore.storage.backends.filesystem.writing import Writer

# How often the own folder is made again when others remove it, before that is an error.
_TRIES = 20


class OpenDirectory:
    """A directory that is held open; its own folder is made by the first write.

    Parameters
    ----------
    path : str
    durable : bool
        Whether to wait for the disk.
    readonly : bool

    Attributes
    ----------
    reader : Reader
    writer : Writer or None
    committer : Committer or None
    short_way : ShortWay or None
        None before the first write.
    folding : bool or None
        Whether the file system merges names; None if that is not known yet.

    Notes
    -----
    *Threads*: `prepare` any; `enter` and `leave` whoever has the writer lock of the store.
    """

    def __init__(self, path: str, durable: bool, readonly: bool) -> None:
        self.path = path
        self._durable = durable
        self._readonly = readonly
        self._preparing = threading.Lock()
        self.own: Own | None = None
        self.writer: Writer | None = None
        self.committer: Committer | None = None
        self.short_way: ShortWay | None = None
        self._process = os.getpid()
        self._root = open_root(path)
        try:
            windows = read_format(self._root)
            self.folding = folds_names(path)
            self.tree = Tree(
                self._root,
                path,
                bool(self.folding),
                ON_WINDOWS if windows is None else windows,
                bool(self.folding) or may_clash(self._root),
            )
            self.reader = Reader(self.tree)
        except BaseException:
            close_folder(self._root)
            raise

    def finish_for_others(self, timeout: float, what: str) -> None:
        """Carry out a commit that was decided by somebody who died, before anybody reads."""
        if not is_unfinished(self._root):
            return
        if self._readonly:
            raise ReadOnlyError(
                f"the last commit to {what} was decided but not carried out to its end; open the "
                "directory once without readonly, which does that"
            )
        self.enter(timeout, what)
        self.leave()

    def prepare(self) -> Writer:
        """Return the writer; the own folder is made if it is missing."""
        if self._readonly:
            raise ReadOnlyError(f"the directory {self.path!r} was opened to be read only")
        with self._preparing:
            if self.writer is None:
                own = self._open_own()
                try:
                    if self.folding is None:
                        self.folding = folds_names_by_writing(os.path.join(self.path, OWN_FOLDER))
                        self.tree.folding = self.folding
                    if self.folding and not self.tree.may_clash:
                        self.tree.may_clash = True
                        own.expect_clashes()
                    writer = Writer(own)
                    self.committer = Committer(own, writer)
                    self.short_way = ShortWay(own)
                except BaseException:
                    own.close()
                    raise
                self.own, self.writer = own, writer
            return self.writer

    def _open_own(self) -> Own:
        for _ in range(_TRIES):
            try:
                return Own(self.tree, self._durable)
            except FileNotFoundError:
                pass  # somebody has just removed the folder, since it was empty
        return Own(self.tree, self._durable)

    def enter(self, timeout: float, what: str) -> None:
        """Keep other processes from writing, and put right what those who died have left."""
        self.prepare()
        own = self.own
        assert own is not None
        own.lock.wait(timeout, what)
        try:
            if own.lock.is_announced() or not own.recovered:
                own.recover()
            own.lock.announce()
        except BaseException:
            own.lock.give_back()
            raise

    def leave(self) -> None:
        """Let other processes write again."""
        own = self.own
        if own is not None:
            try:
                if not own.journal.unfinished:
                    # A commit may lie behind us, so this may not fail: who finds the text looks
                    # for something to recover, and there is nothing.
                    with suppress(OSError):
                        own.lock.withdraw()
            finally:
                own.lock.give_back()

    def put_plain(self, key: str, data: bytes, text: str, history: LoneWrites | None) -> bool:
        """Put small data if nobody else is writing and nothing is out of the ordinary."""
        own, way = self.own, self.short_way
        if own is None or way is None or self.tree.folding or not own.recovered:
            return False
        lock = own.lock
        if not lock.take():
            return False
        try:
            if lock.is_announced() or (history is not None and not history.is_ready(key)):
                return False
            return way.put(key, data, text, history)
        finally:
            lock.give_back()

    def has_vanished(self) -> bool:
        """Whether somebody has removed the directory itself."""
        try:
            if isinstance(self._root, int):
                return os.fstat(self._root).st_nlink == 0
            return not os.path.isdir(self.path)
        except OSError:
            return True

    # -- the end ----------------------------------------------------------------------------------

    def release(self) -> None:
        """Close everything; in a forked child, leave alone what is the parent's."""
        if self._process != os.getpid() or self._root is None:
            return
        self.reader.close()
        if self.own is not None:
            self.own.close()
            self.own = self.writer = self.committer = None
        close_folder(self._root)
        self._root = None

    def after_fork(self) -> None:
        """Let go, in a forked child, of the locks: they are the parent's."""
        self._process = os.getpid()
        self._preparing = threading.Lock()
        own, self.own, self.writer, self.committer = self.own, None, None, None
        if own is not None:
            own.let_go()
