"""Writing: a version is a file that is written once, complete before its record is committed.

A file is removed when the commit that makes it useless is durable, and a new one when its block is
undone. ``plain`` imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from encore.errors import ReadOnlyError
from encore.storage.backends.filesystem.contents import StagedFile
from encore.storage.backends.filesystem.failures import translate
from encore.storage.backends.filesystem.writing import Source
from encore.storage.backends.hashdir.reading import FilesRead
from encore.storage.backends.hashdir.tree import MOST_VERSIONS, Place
from encore.storage.backends.hashdir.versions import Duplicate, Version
from encore.storage.backends.hashdir.writing import Writer, stage
from encore.storage.content import Content
from encore.storage.template import Staged
from encore.storage.transactions.owners import next_number
from encore.storage.values import Value


class FileValues(FilesRead):
    """Records, and data in files.

    The parameters are those of `HashdirStore`.
    """

    _writer: Writer | None = None

    def _writing_files(self) -> Writer:
        writer = self._writer
        if writer is None:
            tree = self._files()
            if self._settings.readonly:
                raise ReadOnlyError(f"write: {self!r} was opened for reading only", store=self)
            with self._opening:
                if self._writer is None:
                    self._writer = Writer(tree, self._settings.durability == "power")
                writer = self._writer
        return writer

    def _close(self) -> None:
        super()._close()
        writer, self._writer, self._tree = self._writer, None, None
        if writer is not None:
            writer.close()

    def _after_fork(self) -> None:
        super()._after_fork()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.let_go()

    # -- writing ----------------------------------------------------------------------------------

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        source = Source(chunks)
        try:
            # Not through the writer: who keeps the traceback of a stream that failed would keep it,
            # and with it the tree open.
            session = self._writing_files().session
            return stage(session, source, durable=self._settings.durability == "power")
        except OSError as error:
            if error is source.error:
                raise
            raise translate(error, self, "write") from error

    def _duplicate(self, value: Value) -> bytes | Staged:
        content = value.content
        return Duplicate(content) if isinstance(content, Version) else super()._duplicate(value)

    def _keep(self, key: str, content: bytes | Content) -> int:
        owner = self._owner
        garbage, made = owner.garbage, owner.made
        assert garbage is not None
        if made is None:
            made = owner.made = set()
        place = Place(key, next_number() & MOST_VERSIONS or 1)
        writer = self._writer
        try:
            writer = writer or self._writing_files()
            self._list(writer, [place])
            garbage[-1].append((True, place))
            if isinstance(content, bytes):
                writer.write(place, content, made)
            elif isinstance(content, Duplicate):
                writer.duplicate(content.place, content.open, place, made)
            else:
                assert isinstance(content, StagedFile)
                self._files().bring(content.folder, content.name, place, made)
        except BaseException as error:
            if writer is not None:
                writer.remove(place, prune=True)  # the transaction around it may go on
            if isinstance(error, OSError):
                raise translate(error, self, "write", key) from error
            raise
        return place.version

    def _list(self, writer: Writer, places: list[Place]) -> None:
        owner = self._owner
        writer.note(places, first=not owner.is_listed)
        owner.is_listed = True

    def _drop(self, key: str, blob: int) -> None:
        garbage = self._owner.garbage
        assert garbage is not None
        garbage[-1].append((False, Place(key, blob)))

    # -- the end of a transaction -----------------------------------------------------------------

    def _before_commit(self, garbage: list[Any]) -> None:
        if not garbage:
            return
        with self._translated("commit"):
            writer = self._writing_files()
            old = [place for is_new, place in garbage if not is_new and place.version]
            if old:
                self._list(writer, old)
            made, self._owner.made = self._owner.made, None
            if self._settings.durability == "power":
                writer.sync()
                if made:
                    self._files().sync(made)

    def _after_commit(self, garbage: list[Any]) -> None:
        if garbage:
            old = [place for is_new, place in garbage if not is_new]
            kept = {place for is_new, place in garbage if is_new}.difference(old)
            keys = {place.key for place in kept}
            self._clear_up([(place, place.key not in keys) for place in old])
        self._settle()

    def _after_rollback(self, garbage: list[Any], depth: int) -> None:
        self._clear_up([(place, True) for is_new, place in garbage if is_new])
        if depth == 1:
            self._owner.made = None
            self._settle()

    def _clear_up(self, places: list[tuple[Place, bool]]) -> None:
        writer = self._writer
        if writer is not None:
            for place, prune in places:
                writer.remove(place, prune=prune)

    def _settle(self) -> None:
        if self._owner.is_listed:
            self._owner.is_listed = False
            if self._writer is not None:
                self._writer.settle()
