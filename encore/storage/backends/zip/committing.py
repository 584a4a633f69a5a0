"""From the batch of a transaction to a frame in the log: the commit.

The frame that is written to the log is the one act that decides. What it speaks of is in place by
then, and the archive is rewritten, if at all, afterwards.

Only this subpackage imports this module.
"""

from __future__ import annotations

import zlib
from contextlib import suppress

from encore.storage.backends.zip.changes import Log, create_log
from encore.storage.backends.zip.contents import StagedContent, ZipContent
from encore.storage.backends.zip.frames import Frame, Said
from encore.storage.backends.zip.packing import pack
from encore.storage.backends.zip.sidecars import LOG, Sidecar
from encore.storage.backends.zip.spools import Spool
from encore.storage.backends.zip.watching import Views
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.staging import Batch

#: Packed data up to this size, in bytes, is written into the log, if it is not in a file already
#: where there is more.
INLINE_BYTES = 65536


class Commit:
    """A batch that is being committed, by whoever has all locks.

    Parameters
    ----------
    views : Views
    sidecar : Sidecar
    method : int
        How new data is packed.
    durable : bool
        Whether to wait for the disk.
    """

    def __init__(self, views: Views, sidecar: Sidecar, method: int, durable: bool) -> None:
        self._views = views
        self._sidecar = sidecar
        self._method = method
        self._durable = durable
        self._adopted: dict[Spool, str] = {}
        self._frame = Frame()
        self._length = 0
        self._log: Log | None = None

    def prepare(self, batch: Batch) -> None:
        """Do all that can fail."""
        self._gather(batch)
        if self._frame.rows:
            self._write(None, prepare=True)

    def publish(self, context: SimpleTransactionContext) -> None:
        """Have what was prepared count."""
        if self._log is not None:
            try:
                self._log.publish(durable=self._durable)
                context.mark_committed()
                self._accept()
            finally:
                self._views.is_writing = False

    def undo(self) -> None:
        """Take back what was prepared."""
        if self._log is not None:
            try:
                self._log.withdraw()
            finally:
                self._views.is_writing = False
        self._drop_files()

    def apply(self, batch: Batch, context: SimpleTransactionContext | None) -> None:
        """Commit a batch; the context, if there is one, is told as soon as that is decided."""
        self._gather(batch)
        if self._frame.rows:
            try:
                self._write(context, prepare=False)
                self._accept()
            finally:
                self._views.is_writing = False

    def _gather(self, batch: Batch) -> None:
        view = self._views.latest()  # nobody else has written since the locks were taken
        try:
            for key, record in batch.items():
                if record is not None:
                    self._add(key, record[0], record[1:])
                elif view.has(key):
                    self._frame.remove(key)
        except BaseException:
            self._drop_files()
            raise

    def _add(self, key: str, content: object, said: Said) -> None:
        if isinstance(content, bytes):
            crc = zlib.crc32(content)
            method, data = pack(content, self._method)
            self._frame.add_data(key, said, (method, crc, len(data)), data)
            return
        assert isinstance(content, ZipContent)
        handle, offset, packed_size = content.place()  # or it says why it cannot be read
        packed = (content.method, content.crc, packed_size)
        if not isinstance(content, StagedContent):
            self._frame.add(key, said, packed, None)  # the data stays
        elif content.spool.size <= INLINE_BYTES:
            self._frame.add_data(key, said, packed, handle.read_at(offset, packed_size))
        else:
            spool = content.spool
            file = self._adopted.get(spool)
            if file is None:
                file = self._adopted[spool] = self._sidecar.adopt(spool)
            self._frame.add(key, said, packed, (file, offset))

    def _write(self, context: SimpleTransactionContext | None, *, prepare: bool) -> None:
        log: Log | None = None
        try:
            data = self._frame.encode()
            self._length = len(data)
            log = self._open_log()
            if self._adopted or not log.end:
                self._sidecar.sync()
            self._views.is_writing = True
            log.write(data, durable=self._durable, prepare=prepare)
            if context is not None:
                context.mark_committed()
            self._log = log
        except BaseException:
            if context is None or context.state != "done":
                if log is not None:
                    log.withdraw()
                self._views.is_writing = False
                self._drop_files()
            raise

    def _open_log(self) -> Log:
        log = self._views.latest().log
        if log is None:
            create_log(self._sidecar.path_of(LOG))
            log = self._views.now().log
            assert log is not None
        return log

    def _accept(self) -> None:
        """Show readers what was committed."""
        assert self._log is not None
        with self._views.lock:
            self._log.accept(self._frame, self._length)

    def _drop_files(self) -> None:
        adopted, self._adopted = self._adopted, {}
        with suppress(OSError):
            self._sidecar.remove(adopted.values())
