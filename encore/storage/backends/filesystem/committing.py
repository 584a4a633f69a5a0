"""From a batch to the tree: one key at once, several by way of the journal.

Only this subpackage imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from encore.errors import CommitUnknownError
from encore.storage.backends.filesystem.contents import FileVersion, StagedFile
from encore.storage.backends.filesystem.journal import Act
from encore.storage.backends.filesystem.own import Own
from encore.storage.backends.filesystem.records import Fields, seconds, sidecar_name
from encore.storage.backends.filesystem.system import exists_at
from encore.storage.backends.filesystem.writing import Writer
from encore.storage.metadata import EMPTY
from encore.storage.template import Record
from encore.storage.transactions.staging import Batch


class Prepared(NamedTuple):
    """A batch of which everything has been done that can fail.

    Attributes
    ----------
    name : str
        Of the list in the journal.
    acts : list of Act
    staged : list of StagedFile
        Data of the caller's that the commit is about to use.
    made : list of str
        Temporary files that belong to nobody else.
    folders : list of str
        Directories that were made.
    """

    name: str
    acts: list[Act]
    staged: list[StagedFile]
    made: list[str]
    folders: list[str]


class Committer:
    """Publishes batches of records.

    *Threads*: under the writer lock.
    """

    def __init__(self, own: Own, writer: Writer) -> None:
        self._journal = own.journal
        self._publisher = own.publisher
        self._session = own.session
        self._writer = writer

    def apply(self, batch: Batch, committed: Callable[[], None], *, is_lone: bool = False) -> None:
        """Publish a batch: all of it, or none.

        Parameters
        ----------
        batch : dict of str to Record or None
        committed : callable
            Called if something interrupts what comes after the commit point.
        is_lone : bool
            Whether it is a single write, of which nobody has seen time and token yet.
        """
        if len(batch) > 1:
            self.publish(self.prepare(batch), committed)
            return
        ((key, record),) = batch.items()
        if record is None or isinstance(record[0], FileVersion):
            try:
                if record is None:
                    self._publisher.remove(key)
                else:
                    self._publisher.note(key, _fields_of(record))
            except CommitUnknownError:
                committed()
                raise
        else:
            is_bare = is_lone and record[1] == EMPTY and self._session.has_exact_times
            self._put(key, record, committed, is_bare)

    def dated(self, record: Record) -> Record:
        """Return a single write with the time and the token that its file is going to say.

        What replaces nothing then needs no record beside it.
        """
        content, text, size, created, modified, _ = record
        is_new = created == modified and not isinstance(content, FileVersion)
        if not is_new or text != EMPTY or not self._session.has_exact_times:
            return record
        time = self._session.tick()
        moment = seconds(time)
        return (content, text, size, moment, moment, f"{time:x}-{size:x}")

    def _put(self, key: str, record: Record, committed: Callable[[], None], is_bare: bool) -> None:
        session = self._session
        time = session.tick() if is_bare else None
        name = self._writer.complete(record, sidecar_name(key), time)
        try:
            self._publisher.put(
                key, session.folder, name, _fields_of(record), needs_record=not is_bare
            )
        except BaseException:
            if exists_at(session.folder, name):
                session.remove(name)
            else:
                committed()  # the file has its place: an interruption came after the deed
            raise

    # -- several keys -----------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> Prepared:
        """Do what can fail of publishing a batch."""
        made: list[str] = []
        folders: list[str] = []
        try:
            with self._publisher.tree.keeping():
                for key, record in batch.items():
                    if record is not None:
                        folders += self._publisher.placer.check(key)
            acts = [self._act(key, record, made) for key, record in batch.items()]
            name = self._journal.prepare(acts)
        except BaseException:
            self._remove(made, folders)
            raise
        contents = [record[0] for record in batch.values() if record is not None]
        staged = [content for content in contents if isinstance(content, StagedFile)]
        return Prepared(name, acts, staged, made, folders)

    def publish(self, prepared: Prepared, committed: Callable[[], None]) -> None:
        """Publish a prepared batch; see `apply`."""
        passed = False

        def pass_point(done: bool) -> None:
            nonlocal passed
            passed = done
            for content in prepared.staged:
                content.seal(done)

        try:
            self._journal.commit(prepared.name, prepared.acts, pass_point)
        except BaseException:
            if passed:
                committed()
            else:
                self.undo(prepared)
            raise

    def undo(self, prepared: Prepared) -> None:
        """Take back what was prepared."""
        self._journal.discard(prepared.name)
        self._remove(prepared.made, prepared.folders)

    def _act(self, key: str, record: Record | None, made: list[str]) -> Act:
        if record is None:
            return Act(key, None)
        if isinstance(record[0], FileVersion):
            return Act(key, _fields_of(record))
        name = self._writer.complete(record, "")
        if not isinstance(record[0], StagedFile):
            made.append(name)
        return Act(key, _fields_of(record), self._session.name, name)

    def _remove(self, names: list[str], folders: list[str]) -> None:
        for name in names:
            self._session.remove(name)
        self._publisher.placer.remove_folders(folders)


def _fields_of(record: Record) -> Fields:
    return Fields(record[1], *record[3:])
